from django.db import transaction
from rest_framework.exceptions import ValidationError

from authentication.models import User

from ..choices import REFERRAL_MOVES, TestStatus
from ..models import FacilityBranch, Referral, ReferralTest, Test
from .patients import find_or_create_patient


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
        patient_name_or_id=patient_full_name_or_id,
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
    if status not in REFERRAL_MOVES[TestStatus(referral.status)]:
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
    completed. The referral is locked first, as when the referral itself is completed.
    """
    referral = Referral.objects.select_for_update().get(pk=test.referral_id)
    test = ReferralTest.objects.with_names().get(pk=test.pk)
    if referral.is_completed:
        raise ValidationError(
            {"status": ["The referral is completed; its tests can no longer change."]}
        )
    if test.status == status:
        raise ValidationError({"status": [f"The test is {status} already."]})
    test.status = status
    test.save(update_fields=["status"])
    return test
