from django.db import connection, transaction
from rest_framework.exceptions import ValidationError

from _tetradx.api.exceptions import Conflict, refuse_duplicate
from _tetradx.values.folding import Fold, fold
from authentication.models import UserType
from authentication.services import create_account

from ..models import Facility, FacilityBranch


def add_branch(*, facility: Facility, name: str) -> FacilityBranch:
    """Raises ValidationError under `name` where the facility has a branch of that name."""
    with refuse_duplicate(
        constraints={"unique_branch_name_in_facility"},
        field="name",
        message="A branch with this name already exists in this facility.",
    ):
        return FacilityBranch.objects.create(facility=facility, name=name)


def deactivate_branch(*, branch: FacilityBranch) -> None:
    """Closes the branch to new referrals; those that it has are kept and can be finished.

    Raises Conflict where it is gone.
    """
    if not FacilityBranch.objects.filter(pk=branch.pk).update(is_active=False):
        raise Conflict
    branch.is_active = False


def refuse_known_facility(name: str) -> None:
    """Raises ValidationError under `name` where a facility is named so, case aside.

    The public list could not tell the two apart. No constraint says so, since a database of before
    may hold such; until the transaction ends nobody else gets an answer about this name.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"facility {fold(name)}"]
        )
    named = Facility.objects.alias(folded=Fold("name")).filter(folded=fold(name))
    if named.exists():
        raise ValidationError({"name": ["A facility with this name already exists."]})


@transaction.atomic
def create_facility(
    *, name: str, branch_names: list[str], admin_name: str, admin_phone: str, admin_password: str
) -> Facility:
    """A facility with its branches and its administrator, who must change the password.

    Raises ValidationError under `phone_number` or `name` where one is taken.
    """
    refuse_known_facility(name)
    admin = create_account(
        full_name=admin_name,
        phone_number=admin_phone,
        password=admin_password,
        user_type=UserType.LAB_TECHNICIAN,
        must_change_password=True,
    )
    facility = Facility.objects.create(name=name, admin=admin)
    for branch_name in branch_names:
        add_branch(facility=facility, name=branch_name)
    return facility
