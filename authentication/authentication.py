from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, TokenError

from .models import Session, User
from .tokens import AccessToken


class SessionTokenAuthentication(JWTAuthentication):
    """A bearer token is good while its session is open and its user active.

    One statement loads session, user and the facility that the user administers, so logout, a
    changed password and a disabled account work at once.
    """

    def get_user(self, validated_token: AccessToken) -> User:  # type: ignore[override]
        try:
            session_id = validated_token.session_id
        except TokenError as error:
            raise AuthenticationFailed(str(error)) from None
        session = (
            Session.objects.open()
            .select_related("user__administered_facility")
            .filter(id=session_id, user__is_active=True)
            .first()
        )
        if session is None:
            raise AuthenticationFailed("This session has ended.")
        return session.user
