"""Who may call what. Which rows a user then sees is `visible_to` and `worked_by` of a queryset.

The contract answers a wrong role with 400 and a message of the route, so these classes raise.
"""

from _tetradx.api.exceptions import BadRequest
from authentication.models import User, UserType
from authentication.permissions import IsSignedIn

from .models import Facility


def administered_facility(user: User) -> Facility | None:
    return getattr(user, "administered_facility", None)


class HasRole(IsSignedIn):
    """A signed-in user of one role; another role gets the view's `wrong_role_message`.

    A method that the view lacks is a 405 to every role.
    """

    def has_permission(self, request, view) -> bool:
        """Raises BadRequest for a signed-in user of another role."""
        if not super().has_permission(request, view):
            return False
        if request.method in view.allowed_methods and not self.has_role(request.user):
            raise BadRequest(self.wrong_role_message(request.user, view))
        return True

    def has_role(self, user: User) -> bool:
        """Tells whether the user has the role."""
        raise NotImplementedError

    def wrong_role_message(self, user: User, view) -> str:
        """What a user of another role is told."""
        return view.wrong_role_message


class IsPractitioner(HasRole):
    def has_role(self, user: User) -> bool:
        return user.user_type == UserType.MEDICAL_PRACTITIONER


class IsTechnician(HasRole):
    """Technicians, and whoever administers a facility."""

    def has_role(self, user: User) -> bool:
        is_technician = user.user_type == UserType.LAB_TECHNICIAN
        return is_technician or administered_facility(user) is not None


class IsFacilityAdmin(HasRole):
    def has_role(self, user: User) -> bool:
        return administered_facility(user) is not None


def edits_every_catalogue(user: User) -> bool:
    """Tells whether the user is an operator with the permissions that adding types takes."""
    return user.is_staff and user.has_perms(["medics.add_testtype", "medics.add_test"])


class IsCatalogueEditor(HasRole):
    """Facility administrators, for their facility, and operators, for those that they name."""

    def has_role(self, user: User) -> bool:
        return edits_every_catalogue(user) or administered_facility(user) is not None

    def wrong_role_message(self, user: User, view) -> str:
        if user.user_type == UserType.LAB_TECHNICIAN:
            return "Unauthorized: User is not associated with any facility."
        return super().wrong_role_message(user, view)
