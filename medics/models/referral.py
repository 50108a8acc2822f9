import re
import secrets
import string
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Prefetch, Q
from django.utils import timezone

from _tetradx.values.folding import fold
from _tetradx.values.names import NameField

from ..choices import (
    MAX_CLOSING_NOTE_CHARACTERS,
    OPEN_STATUSES,
    CancellationReason,
    ReferralStatus,
    TestStatus,
)
from .catalogue import Test
from .facility import FacilityBranch
from .patient import Patient

if TYPE_CHECKING:
    from authentication.models import User

REFERRAL_ID_CHARACTERS = string.ascii_uppercase + string.digits
REFERRAL_ID_LENGTH = 10
REFERRAL_ID = re.compile(f"[{REFERRAL_ID_CHARACTERS}]{{{REFERRAL_ID_LENGTH}}}")


def new_referral_id() -> str:
    return "".join(secrets.choice(REFERRAL_ID_CHARACTERS) for _ in range(REFERRAL_ID_LENGTH))


def referral_id(folded: str) -> str:
    """The id that a folded text may be; none has another letter's upper case."""
    return folded.upper() if folded.isascii() else ""


class HasStatus(models.Model):
    """A status, and when it became Completed, of what `started_at` some time.

    Each change of a status becomes a row of StatusChange, written by the database.
    """

    status = models.CharField(max_length=10, choices=TestStatus, default=TestStatus.PENDING)
    updated_at = models.DateTimeField(auto_now=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    started_at: Any

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(status=TestStatus.COMPLETED, completed_at__isnull=False)
                | (~Q(status=TestStatus.COMPLETED) & Q(completed_at__isnull=True)),
                name="%(class)s_completed_at_exactly_when_completed",
            ),
        ]

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        if self.status != TestStatus.COMPLETED:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = timezone.now()
        if update_fields is not None and "status" in update_fields:
            update_fields = {*update_fields, "completed_at", "updated_at"}
        super().save(*args, update_fields=update_fields, **kwargs)

    @property
    def is_completed(self) -> bool:
        return self.status == TestStatus.COMPLETED

    def turnaround_time(self) -> float | None:
        """Hours from the start to completion; None until then."""
        if self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds() / 3600


class ReferralQuerySet(models.QuerySet["Referral"]):
    def made_by(
        self, practitioner: "User", *, first_moment: datetime, last_moment: datetime
    ) -> "ReferralQuerySet":
        return self.filter(
            referred_by=practitioner, referred_at__gte=first_moment, referred_at__lte=last_moment
        )

    def visible_to(self, user: "User") -> "ReferralQuerySet":
        """Those that the user may see and change; every route that serves one row asks this."""
        at_their_branches = Q(facility_branch__in=FacilityBranch.objects.worked_by(user))
        return self.filter(Q(referred_by=user) | at_their_branches)

    def with_names(self) -> "ReferralQuerySet":
        return self.select_related("patient", "facility_branch__facility", "referred_by")

    def with_details(self) -> "ReferralQuerySet":
        """With all that an answer shows: two statements, whatever the number of rows."""
        tests = Prefetch("tests", ReferralTest.objects.with_names())
        return self.with_names().prefetch_related(tests)

    def search(self, text: str) -> "ReferralQuerySet":
        """Where the text occurs, whatever its case, in a name that the referral shows."""
        tests = ReferralTest.objects.filter(referral=OuterRef("pk")).filter(
            Q(test__name__folded_contains=text) | Q(test__test_type__name__folded_contains=text)
        )
        return self.filter(
            Q(patient_name_folded__contains=fold(text))
            | Q(facility_branch__name__folded_contains=text)
            | Q(facility_branch__facility__name__folded_contains=text)
            | Q(referred_by__full_name__folded_contains=text)
            | Q(pk=referral_id(fold(text)))
            | Exists(tests)
        )


class Referral(HasStatus):
    # The tests of one that is cancelled stay as they are.
    status = models.CharField(max_length=10, choices=ReferralStatus, default=ReferralStatus.PENDING)
    id = models.CharField(
        primary_key=True,
        max_length=REFERRAL_ID_LENGTH,
        default=new_referral_id,
        editable=False,
    )
    facility_branch = models.ForeignKey(
        FacilityBranch, on_delete=models.PROTECT, related_name="referrals", db_index=False
    )
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="referrals", db_index=False
    )
    patient_name_or_id = NameField(
        "patient as written",
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text="As this referral's author wrote it; the patient's own where that is left out.",
    )
    clinical_notes = models.TextField(blank=True)
    referred_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="referrals",
        db_index=False,
    )
    referred_at = models.DateTimeField(default=timezone.now, editable=False)

    # Of one that was closed without being completed.
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    closing_code = models.CharField(
        "reason", max_length=20, choices=CancellationReason, blank=True, db_default=""
    )
    closing_note = models.CharField(
        "note", max_length=MAX_CLOSING_NOTE_CHARACTERS, blank=True, db_default=""
    )

    # Kept by triggers (migrations 0004, 0009) for the search, which reads them in the lists'
    # indexes.
    patient_name_folded = models.TextField(db_default="", editable=False)
    test_ids = ArrayField(models.BigIntegerField(), db_default=[], editable=False)

    objects = ReferralQuerySet.as_manager()

    class Meta(HasStatus.Meta):
        permissions = [("cancel_referrals", "Can cancel what an account referred")]
        constraints = [
            *HasStatus.Meta.constraints,
            models.CheckConstraint(
                condition=Q(status__in=ReferralStatus.values), name="referral_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    status=ReferralStatus.CANCELLED,
                    closed_at__isnull=False,
                    closing_code__in=CancellationReason.values,
                )
                & (~Q(closing_code=CancellationReason.OTHER) | ~Q(closing_note=""))
                | ~Q(status=ReferralStatus.CANCELLED)
                & Q(closed_at__isnull=True, closing_code="", closing_note=""),
                name="referral_closed_with_a_reason_exactly_when_cancelled",
            ),
        ]
        indexes = [
            # The lists in their order, with all that search and filters ask, so that they are
            # answered from the index alone. They serve as the foreign keys' indexes, too.
            models.Index(
                fields=["referred_by", "-referred_at", "-id"],
                include=["status", "facility_branch", "patient_name_folded", "test_ids"],
                name="list_of_practitioner",
            ),
            models.Index(
                fields=["facility_branch", "-referred_at", "-id"],
                include=["status", "referred_by", "patient_name_folded", "test_ids"],
                name="list_of_branch",
            ),
            models.Index(
                fields=["facility_branch", "referred_by", "-referred_at", "-id"],
                include=["status"],
                name="list_of_branch_by_doctor",
            ),
            models.Index(
                fields=["patient"],
                include=[
                    *("id", "referred_at", "status", "facility_branch", "referred_by"),
                    "patient_name_folded",
                ],
                name="referrals_of_patient",
            ),
            models.Index(fields=["-referred_at", "-id"], name="newest_referrals"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def started_at(self) -> datetime:
        return self.referred_at


class ReferralTestQuerySet(models.QuerySet["ReferralTest"]):
    def visible_to(self, user: "User") -> "ReferralTestQuerySet":
        """Those of the referrals that the user may see and change."""
        return self.filter(referral__in=Referral.objects.visible_to(user))

    def with_names(self) -> "ReferralTestQuerySet":
        return self.select_related("test__test_type").order_by("id")


class ReferralTest(HasStatus):
    """A test within a referral. The database refuses one that the branch's facility lacks."""

    referral = models.ForeignKey(
        Referral, on_delete=models.PROTECT, related_name="tests", db_index=False
    )
    test = models.ForeignKey(Test, on_delete=models.PROTECT, related_name="referral_tests")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # Of one that is read for a change of a status (medics.services.limits).
    limit_reached_at: datetime | None

    objects = ReferralTestQuerySet.as_manager()

    class Meta(HasStatus.Meta):
        constraints = [
            *HasStatus.Meta.constraints,
            models.CheckConstraint(
                condition=Q(status__in=TestStatus.values), name="referraltest_status_is_known"
            ),
            models.UniqueConstraint(fields=["referral", "test"], name="unique_test_in_referral"),
        ]

    def __str__(self) -> str:
        return f"{self.test} of {self.referral_id}"

    @property
    def started_at(self) -> datetime:
        return self.created_at


class StatusChange(models.Model):
    """The history of a status: what changed, from, to, by whom and when.

    Written by a trigger (migration 0002), so that no path past the services leaves a gap, and
    never changed or deleted (0007).
    """

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="history")
    referral_test = models.ForeignKey(
        ReferralTest,
        on_delete=models.PROTECT,
        related_name="history",
        null=True,
        blank=True,
        help_text="Empty where the referral itself changed.",
    )
    from_status = models.CharField(max_length=10, choices=ReferralStatus)
    to_status = models.CharField(max_length=10, choices=ReferralStatus)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="Empty where nobody was signed in.",
    )
    changed_at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128,
        blank=True,
        db_default="",
        help_text="The request's, or the command; empty where it was neither.",
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["changed_at"], name="status_changes_in_time"),
            models.Index(
                fields=["request_id"], condition=~Q(request_id=""), name="status_changes_by_request"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.referral_test or self.referral}: {self.from_status} to {self.to_status}"
