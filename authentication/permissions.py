from rest_framework import permissions


class IsSignedIn(permissions.IsAuthenticated):
    """A user of an open session who is not due to change the password first."""

    message = "Change your password before you go on."

    def has_permission(self, request, view) -> bool:
        # DRF answers 401 where nobody is authenticated, whatever the message.
        return super().has_permission(request, view) and not request.user.must_change_password
