from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from _tetradx.values.folding import Fold
from _tetradx.values.names import NameField

if TYPE_CHECKING:
    from authentication.models import User


class Facility(models.Model):
    name = NameField(max_length=255)
    contact_number = models.CharField(max_length=16, blank=True)
    admin = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="administered_facility",
        null=True,
        blank=True,
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "facilities"
        # A place of work and an administration show the facility's patients: changing an account
        # or a facility is not enough to give them.
        permissions = [
            ("assign_staff", "Can give people a place of work"),
            ("appoint_administrator", "Can have people administer a facility"),
        ]

    def __str__(self) -> str:
        return self.name


KEEP_ACTIVE = """
    SELECT branch.*, clock_timestamp() AS kept_at, ARRAY(
        SELECT (
            SELECT referred_at FROM medics_referral
            WHERE referred_by_id = %(practitioner)s
                AND referred_at > statement_timestamp() - of_limit.period
            ORDER BY referred_at DESC OFFSET of_limit.number - 1 LIMIT 1
        )
        FROM unnest(%(numbers)s::int[], %(periods)s::interval[])
            WITH ORDINALITY AS of_limit (number, period, place)
        ORDER BY place
    ) AS reached_at, ARRAY(
        SELECT test.id FROM medics_test test
        JOIN medics_testtype type ON type.id = test.test_type_id
        WHERE type.facility_id = branch.facility_id AND test.id = ANY (%(tests)s::bigint[])
    ) AS offered_test_ids
    FROM medics_facilitybranch branch WHERE id = %(branch)s AND is_active FOR SHARE
"""


class FacilityBranchQuerySet(models.QuerySet["FacilityBranch"]):
    def active(self) -> "FacilityBranchQuerySet":
        return self.filter(is_active=True)

    def kept_active(
        self,
        branch_id: int,
        *,
        practitioner: "User",
        limits: Sequence[tuple[int, timedelta]] = (),
        test_ids: Sequence[int] = (),
    ) -> "FacilityBranch | None":
        """The active branch of that id, which nobody can close until this transaction ends.

        With `kept_at`, the time of the database, which is one for all processes, and for each of
        the limits, as number and period, `reached_at`: when the practitioner made the referral that
        many places before the next one, None where that is longer ago than the period; and in
        `offered_test_ids` those of the tests that the branch's facility offers.
        """
        # Django cannot lock FOR SHARE, and any stronger lock would have referrals wait in line.
        numbers, periods = zip(*limits, strict=True) if limits else ((), ())
        values = {
            "branch": branch_id,
            "practitioner": practitioner.pk,
            "numbers": list(numbers),
            "periods": list(periods),
            "tests": list(test_ids),
        }
        [*found] = self.raw(KEEP_ACTIVE, values)
        return found[0] if found else None

    def worked_by(self, user: "User") -> "FacilityBranchQuerySet":
        """The branches that the user is assigned to, and all of the facility administered.

        Closed ones too: what was referred to them must be finished.
        """
        assigned = BranchTechnician.objects.filter(user=user).values("branch")
        administered = Facility.objects.filter(admin=user).values("pk")
        return self.filter(Q(pk__in=assigned) | Q(facility__in=administered))


class FacilityBranch(models.Model):
    # Of one that kept_active gave.
    kept_at: datetime
    reached_at: list[datetime | None]
    offered_test_ids: list[int]

    facility = models.ForeignKey(Facility, on_delete=models.PROTECT, related_name="branches")
    name = NameField(max_length=255)
    is_active = models.BooleanField(
        "active", default=True, help_text="A closed branch takes no new referrals."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FacilityBranchQuerySet.as_manager()

    class Meta:
        verbose_name = "branch"
        verbose_name_plural = "branches"
        constraints = [
            models.UniqueConstraint(
                "facility",
                Fold("name"),
                name="unique_branch_name_in_facility",
                violation_error_message="A branch with this name already exists in this facility.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class BranchTechnician(models.Model):
    """The assignment of a member of staff, of whatever role, to a branch.

    The database refuses branches of two facilities for one person, the one administered included.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="branch_assignments"
    )
    branch = models.ForeignKey(FacilityBranch, on_delete=models.PROTECT, related_name="assignments")
    is_admin = models.BooleanField(default=False)
    assigned_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "branch"],
                name="unique_assignment_of_technician_to_branch",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.branch}"
