from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, Subquery
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from _tetradx.api.exceptions import BadRequest, refuse_broken_rule
from authentication.models import User

from ..choices import (
    OPEN_STATUSES,
    REFERRAL_MOVES,
    CancellationReason,
    ReferralStatus,
    TestStatus,
)
from ..models import FacilityBranch, Referral, ReferralTest
from .limits import Limit, limit_of_status_changes, nth_newest_change, refuse_beyond
from .patients import find_or_create_patient

CHANGES = "Changes of status of one referral"
NO_SUCH_TEST = "Test with the given ID does not exist."
# One statement cancels so many referrals, which takes less than the statement timeout.
CANCELLED_AT_ONCE = 1_000


@transaction.atomic
def create_referral(
    *,
    practitioner: User,
    branch_id: int,
    test_ids: list[int],
    patient_full_name_or_id: str,
    patient_contact_number: str = "",
    clinical_notes: str = "",
    limits: Sequence[Limit] = (),
) -> Referral:
    """Create the referral with its tests, all or nothing; a test named twice counts once.

    Raises Throttled where the practitioner has reached one of the limits.

    Raises ValidationError under `branch_id` where the branch is unknown or closed, under `tests`
    where there are none, and under `test_id` where its facility does not offer one of them.
    """
    distinct_ids = list(dict.fromkeys(test_ids))
    branch = FacilityBranch.objects.kept_active(
        branch_id, practitioner=practitioner, limits=limits, test_ids=distinct_ids
    )
    if branch is None:
        raise ValidationError({"branch_id": ["Branch with the given ID does not exist."]})
    for limit, reached_at in zip(limits, branch.reached_at, strict=True):
        refuse_beyond(limit, reached_at, "Referrals of one account")
    if not distinct_ids:
        raise ValidationError({"tests": ["This list may not be empty."]})
    if len(branch.offered_test_ids) < len(distinct_ids):
        raise ValidationError({"test_id": [NO_SUCH_TEST]})
    referral = Referral.objects.create(
        facility_branch=branch,
        patient=find_or_create_patient(
            full_name_or_id=patient_full_name_or_id,
            contact_number=patient_contact_number,
            practitioner=practitioner,
        ),
        patient_name_or_id=patient_full_name_or_id,
        referred_by=practitioner,
        # The database's clock, read in this transaction: a list's cursor relies on no referral
        # being dated before its transaction began.
        referred_at=branch.kept_at,
        clinical_notes=clinical_notes,
        test_ids=sorted(distinct_ids),
    )
    # A test can be removed after the branch was read; the rule checks again.
    with refuse_broken_rule(
        constraints={"test_belongs_to_facility_of_branch"}, field="test_id", message=NO_SUCH_TEST
    ):
        ReferralTest.objects.bulk_create(
            ReferralTest(referral=referral, test_id=test_id, created_at=referral.referred_at)
            for test_id in distinct_ids
        )
    return referral


@transaction.atomic
def set_referral_status(*, referral_id: str, status: TestStatus) -> None:
    """Set the status; the status that the referral already has changes nothing.

    Raises ValidationError under `status` for a move that REFERRAL_MOVES lacks, and for Completed
    while a test is open; Throttled where the referral was changed too often; BadRequest where the
    referral does not exist.
    """
    referral = Referral.objects.select_for_update().filter(pk=referral_id).first()
    if referral is None:
        raise BadRequest("Referral does not exist.")
    if referral.status == status:
        return
    if status not in REFERRAL_MOVES[ReferralStatus(referral.status)]:
        raise ValidationError({"status": [f"A {referral.status} referral cannot become {status}."]})
    tests = list(tests_to_change(referral))
    open_tests = [test.test.name for test in tests if not test.is_completed]
    if status == TestStatus.COMPLETED and open_tests:
        raise ValidationError(
            {"status": [f"These tests are not completed yet: {', '.join(open_tests)}."]}
        )
    reached_at = tests[0].limit_reached_at if tests else nth_newest_change(referral).first()
    refuse_beyond(limit_of_status_changes(referral), reached_at, CHANGES)
    referral.status = status
    referral.save(update_fields=["status"])


@transaction.atomic
def set_test_status(*, test: ReferralTest, status: TestStatus) -> ReferralTest:
    """Set the status and return the test.

    Raises ValidationError under `status` where the test already has that status or its referral is
    closed, Throttled where the referral was changed too often, and BadRequest where the test no
    longer exists. Locks the referral first, as set_referral_status does.
    """
    referral = Referral.objects.select_for_update().filter(pk=test.referral_id).first()
    current = tests_to_change(referral).filter(pk=test.pk).first() if referral else None
    if referral is None or current is None:
        raise BadRequest("Referral test with the given ID does not exist.")
    test = current
    if not referral.is_open:
        closed = referral.status.lower()
        raise ValidationError(
            {"status": [f"The referral is {closed}; its tests can no longer change."]}
        )
    if test.status == status:
        raise ValidationError({"status": [f"The test is {status} already."]})
    refuse_beyond(limit_of_status_changes(referral), test.limit_reached_at, CHANGES)
    test.status = status
    test.save(update_fields=["status"])
    return test


def tests_to_change(referral: Referral) -> QuerySet[ReferralTest]:
    """Return the referral's tests with their names and `limit_reached_at`.

    That is when the referral's changes of status reached their limit, None where they did not.
    """
    tests: Any = ReferralTest.objects.with_names()
    return tests.filter(referral=referral).annotate(
        limit_reached_at=Subquery(nth_newest_change(referral))
    )


@transaction.atomic
def cancel_referrals(
    *,
    practitioner: User,
    first_moment: datetime,
    last_moment: datetime,
    reason: CancellationReason,
    note: str = "",
) -> int:
    """Cancel the open referrals that the practitioner made between two moments, both included.

    Returns the number of referrals cancelled. Their tests keep their statuses. Raises
    ValidationError under `note` where the reason needs a note.
    """
    if reason == CancellationReason.OTHER and not note:
        raise ValidationError({"note": ["Say which reason it is."]})
    made = Referral.objects.made_by(
        practitioner, first_moment=first_moment, last_moment=last_moment
    )
    # Locked in one order, so that two who cancel at once wait for each other and never both.
    still_open = made.filter(status__in=OPEN_STATUSES).order_by("pk")
    ids = list(still_open.select_for_update(no_key=True).values_list("pk", flat=True))
    now = timezone.now()
    return sum(
        Referral.objects.filter(pk__in=ids[start : start + CANCELLED_AT_ONCE]).update(
            status=ReferralStatus.CANCELLED,
            updated_at=now,
            closed_at=now,
            closing_code=reason,
            closing_note=note,
        )
        for start in range(0, len(ids), CANCELLED_AT_ONCE)
    )
