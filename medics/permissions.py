"""Who may call what. Which rows they then see is `visible_to` and `worked_by` of a queryset.

The contract answers a wrong role with 400 and the route's own words, so these raise.
"""

from collections.abc import Callable

from rest_framework.permissions import BasePermission

from _tetradx.api.exceptions import BadRequest
from authentication.models import User, UserType
from authentication.permissions import IsSignedIn

from .models import Facility


def administered_facility(user: User) -> Facility | None:
    return getattr(user, "administered_facility", None)


class HasRole(BasePermission):
    """Raises BadRequest with the view's `wrong_role_message` for a user of another role.

    Not for a method that the view lacks, which is a 405 to every role.
    """

    def has_permission(self, request, view) -> bool:
        if request.method in view.allowed_methods and not self.has_role(request.user):
            raise BadRequest(view.wrong_role_message)
        return True

    has_role: Callable[[User], bool]


class HasPractitionerRole(HasRole):
    def has_role(self, user: User) -> bool:
        return user.user_type == UserType.MEDICAL_PRACTITIONER


class HasTechnicianRole(HasRole):
    """Technicians, and whoever administers a facility."""

    def has_role(self, user: User) -> bool:
        is_technician = user.user_type == UserType.LAB_TECHNICIAN
        return is_technician or administered_facility(user) is not None


class AdministersFacility(HasRole):
    def has_role(self, user: User) -> bool:
        return administered_facility(user) is not None


def edits_every_catalogue(user: User) -> bool:
    """As in the admin site, an operator alone, with the permissions that this takes."""
    return user.is_staff and user.has_perms(["medics.add_testtype", "medics.add_test"])


class MayAddTestTypes(HasRole):
    """Facility administrators, for their facility, and operators, for those that they name."""

    def has_role(self, user: User) -> bool:
        if edits_every_catalogue(user) or administered_facility(user) is not None:
            return True
        if user.user_type == UserType.LAB_TECHNICIAN:
            raise BadRequest("Unauthorized: User is not associated with any facility.")
        return False


IsPractitioner = (IsSignedIn, HasPractitionerRole)
IsTechnician = (IsSignedIn, HasTechnicianRole)
IsFacilityAdmin = (IsSignedIn, AdministersFacility)
IsCatalogueEditor = (IsSignedIn, MayAddTestTypes)
