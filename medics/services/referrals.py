from datetime import datetime

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from authentication.models import User

from ..choices import (
    OPEN_STATUSES,
    REFERRAL_MOVES,
    CancellationReason,
    ReferralStatus,
    TestStatus,
)
from ..models import FacilityBranch, Referral, ReferralTest, Test
from .patients import find_or_create_patient

# One statement cancels so many: less time than a statement has.
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
) -> Referral:
    """All or nothing; a test named twice counts once. Its tests are in `named_tests`.

    Raises ValidationError under `branch_id` where the branch is unknown or closed, and under
    `test_id` where its facility does not offer one of the tests.
    """
    branch = FacilityBranch.objects.kept_active(branch_id)
    if branch is None:
        raise ValidationError({"branch_id": ["Branch with the given ID does not exist."]})
    distinct_ids = list(dict.fromkeys(test_ids))
    offered = Test.objects.filter(test_type__facility=branch.facility_id)
    tests = offered.select_related("test_type__facility").in_bulk(distinct_ids)
    if len(tests) < len(distinct_ids):
        raise ValidationError({"test_id": ["Test with the given ID does not exist."]})
    branch.facility = tests[distinct_ids[0]].test_type.facility
    referral = Referral.objects.create(
        facility_branch=branch,
        patient=find_or_create_patient(
            full_name_or_id=patient_full_name_or_id,
            contact_number=patient_contact_number,
            practitioner=practitioner,
        ),
        referred_by=practitioner,
        clinical_notes=clinical_notes,
        test_ids=sorted(tests),
    )
    # With their names, which were just read: an answer need not ask for them again.
    referral.named_tests = ReferralTest.objects.bulk_create(
        ReferralTest(referral=referral, test=tests[id], created_at=referral.referred_at)
        for id in distinct_ids  # noqa: A001
    )
    return referral


@transaction.atomic
def set_referral_status(*, referral_id: str, status: TestStatus) -> Referral:
    """Returns the referral as it then stands; the status that it has already changes nothing.

    Raises ValidationError under `status` for a move that REFERRAL_MOVES lacks, and for
    Completed while a test is open.
    """
    referral = Referral.objects.select_for_update(of=("self",)).with_details().get(pk=referral_id)
    if referral.status == status:
        return referral
    if status not in REFERRAL_MOVES[ReferralStatus(referral.status)]:
        raise ValidationError({"status": [f"A {referral.status} referral cannot become {status}."]})
    open_tests = [test.test.name for test in referral.tests.all() if not test.is_completed]
    if status == TestStatus.COMPLETED and open_tests:
        raise ValidationError(
            {"status": [f"These tests are not completed yet: {', '.join(open_tests)}."]}
        )
    referral.status = status
    referral.save(update_fields=["status"])
    return referral


@transaction.atomic
def set_test_status(*, test: ReferralTest, status: TestStatus) -> ReferralTest:
    """Returns the test as it then stands.

    Raises ValidationError under `status` where it has that status already or its referral is
    closed. The referral is locked first, as when the referral itself is completed.
    """
    referral = Referral.objects.select_for_update().get(pk=test.referral_id)
    test = ReferralTest.objects.with_names().get(pk=test.pk)
    if not referral.is_open:
        closed = referral.status.lower()
        raise ValidationError(
            {"status": [f"The referral is {closed}; its tests can no longer change."]}
        )
    if test.status == status:
        raise ValidationError({"status": [f"The test is {status} already."]})
    test.status = status
    test.save(update_fields=["status"])
    return test


@transaction.atomic
def cancel_referrals(
    *,
    practitioner: User,
    first_moment: datetime,
    last_moment: datetime,
    reason: CancellationReason,
    note: str = "",
) -> int:
    """Cancels what the practitioner referred in that time, both moments included, and is open.

    Returns how many they were. Their tests stay as they are. Raises ValidationError under `note`
    where the reason needs one.
    """
    if reason == CancellationReason.OTHER and not note:
        raise ValidationError({"note": ["Say which reason it is."]})
    made = Referral.objects.made_by(
        practitioner, first_moment=first_moment, last_moment=last_moment
    )
    # In one order, so that two who cancel at once wait for each other and for nothing else.
    ids = sorted(made.filter(status__in=OPEN_STATUSES).values_list("pk", flat=True))
    now = timezone.now()
    return sum(
        Referral.objects.filter(
            pk__in=ids[start : start + CANCELLED_AT_ONCE], status__in=OPEN_STATUSES
        ).update(
            status=ReferralStatus.CANCELLED,
            updated_at=now,
            closed_at=now,
            closing_code=reason,
            closing_note=note,
        )
        for start in range(0, len(ids), CANCELLED_AT_ONCE)
    )
