from django.db import connection, transaction
from django.db.models import Q
from rest_framework.exceptions import ValidationError

from _tetradx.api.exceptions import Conflict, refuse_duplicate
from _tetradx.values.folding import Fold, fold
from authentication.models import User, UserType
from authentication.services import create_account

from ..models import BranchTechnician, Facility, FacilityBranch
from .limits import refuse_too_many_technicians


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


@transaction.atomic
def add_lab_technician(
    *, branch: FacilityBranch, full_name: str, phone_number: str, password: str, by: User
) -> User:
    """A technician of the branch, who must change the password at the first login.

    Raises ValidationError under `phone_number` where the number is taken, and Throttled where that
    administrator has just made too many.
    """
    refuse_too_many_technicians(by=by)
    technician = create_account(
        full_name=full_name,
        phone_number=phone_number,
        password=password,
        user_type=UserType.LAB_TECHNICIAN,
        must_change_password=True,
    )
    BranchTechnician.objects.create(user=technician, branch=branch)
    return technician


@transaction.atomic
def set_place_of_work(
    *, user: User, facility: Facility | None, branches: list[FacilityBranch], administers: bool
) -> bool:
    """Has the user work at these branches of the facility alone, and administer it or none.

    Gives whether this is a first place of work, or an administration that the user did not have.
    Raises Conflict where somebody else has come to administer the facility, or the user is gone.
    """
    if User.objects.select_for_update(no_key=True).filter(pk=user.pk).first() is None:
        raise Conflict
    administered = Facility.objects.filter(admin=user).first()
    is_first = administered is None and not user.branch_assignments.exists()
    left = Facility.objects.filter(admin=user)
    if facility is not None and administers:
        left = left.exclude(pk=facility.pk)
    left.update(admin=None)
    # Before the rest: nobody administers a facility who works at another.
    user.branch_assignments.exclude(branch__in=branches).delete()
    if facility is not None and administers:
        vacant = Facility.objects.filter(Q(admin=None) | Q(admin=user), pk=facility.pk)
        if not vacant.update(admin=user):
            raise Conflict
    BranchTechnician.objects.bulk_create(
        (BranchTechnician(user=user, branch=branch) for branch in branches),
        ignore_conflicts=True,
    )
    return facility is not None and (is_first or (administers and administered != facility))
