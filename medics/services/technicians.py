from django.db import transaction
from django.db.models import Q

from _tetradx.api.exceptions import Conflict
from authentication.models import User, UserType
from authentication.services import create_account

from ..models import BranchTechnician, Facility, FacilityBranch
from .limits import refuse_too_many_technicians


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
