import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from authentication.models import User, UserType
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
    Test,
    TestStatus,
    TestType,
)
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    ReferralFactory,
    TestFactory,
    TestTypeFactory,
)

pytestmark = pytest.mark.django_db


def test_a_script_makes_every_row_with_what_the_contract_names_alone():
    user = User.objects.create_user(
        username="kofi", phone_number="0244123456", password="Passw0rd!x", full_name="Kofi Boateng"
    )
    facility = Facility.objects.create(name="Korle Laboratory")
    branch = FacilityBranch.objects.create(facility=facility, name="Osu")
    assignment = BranchTechnician.objects.create(user=user, branch=branch)
    test_type = TestType.objects.create(facility=facility, name="Haematology")
    test = Test.objects.create(test_type=test_type, name="Full Blood Count")
    patient = Patient.objects.create(full_name_or_id="Akosua Mensah")
    referral = Referral.objects.create(facility_branch=branch, patient=patient, referred_by=user)
    referral_test = ReferralTest.objects.create(referral=referral, test=test)

    for row in (facility, branch, assignment, test_type, test, patient, referral, referral_test):
        row.refresh_from_db()
        assert str(row)
    assert user.user_type == UserType.MEDICAL_PRACTITIONER
    assert user.check_password("Passw0rd!x")
    assert facility.admin is None
    assert facility.contact_number == patient.contact_number == ""
    assert branch.is_active is True
    assert assignment.is_admin is False
    assert test_type.description == test.description == referral.clinical_notes == ""
    assert test.price == 0
    assert referral.status == referral_test.status == TestStatus.PENDING
    assert referral.completed_at is None
    assert referral_test.completed_at is None
    assert None not in (referral.referred_at, referral.updated_at)
    assert None not in (referral_test.created_at, referral_test.updated_at)


def test_a_script_makes_every_row_with_all_that_the_contract_names():
    user = User.objects.create_user(
        username="efua",
        phone_number="0244123456",
        full_name="Efua Asante",
        user_type=UserType.LAB_TECHNICIAN,
    )
    facility = Facility.objects.create(name="Korle", contact_number="0302123456", admin=user)
    branch = FacilityBranch.objects.create(facility=facility, name="Osu", is_active=False)
    BranchTechnician.objects.create(user=user, branch=branch, is_admin=True)
    test_type = TestType.objects.create(facility=facility, name="Blood", description="All of it")
    test = Test.objects.create(
        test_type=test_type, name="Count", description="Full", price=Decimal("12.50")
    )
    patient = Patient.objects.create(full_name_or_id="4711", contact_number="0244999999")
    yesterday = timezone.now() - timedelta(days=1)
    referral = Referral.objects.create(
        id="ABCDEFGH12",
        facility_branch=branch,
        patient=patient,
        clinical_notes="Fever",
        referred_by=user,
        status=TestStatus.COMPLETED,
        referred_at=yesterday,
        completed_at=yesterday + timedelta(hours=2),
    )
    ReferralTest.objects.create(
        referral=referral,
        test=test,
        status=TestStatus.COMPLETED,
        created_at=yesterday,
        completed_at=yesterday + timedelta(hours=1),
    )
    stored = Referral.objects.get(id="ABCDEFGH12")
    assert stored.referred_at == yesterday
    assert stored.completed_at == yesterday + timedelta(hours=2)
    assert stored.turnaround_time() == pytest.approx(2)
    assert stored.tests.get().turnaround_time() == pytest.approx(1)


def test_rows_can_be_made_in_bulk_too(branch, blood_count):
    user = User.objects.create_user(phone_number="0244123456")
    patients = Patient.objects.bulk_create(
        Patient(full_name_or_id=f"Patient {number}", contact_number="024 412 3456")
        for number in range(3)
    )
    referrals = Referral.objects.bulk_create(
        Referral(facility_branch=branch, patient=patient, referred_by=user) for patient in patients
    )
    ReferralTest.objects.bulk_create(
        ReferralTest(referral=referral, test=blood_count) for referral in referrals
    )
    assert len({referral.id for referral in Referral.objects.all()}) == 3
    assert ReferralTest.objects.count() == 3


@pytest.mark.parametrize("name", ["Full Blood Count", "full blood count", "Ɔbɛn", "  spaced  "])
def test_names_are_kept_as_written(name):
    facility = FacilityFactory(name=name)
    rows = [
        facility,
        FacilityBranchFactory(facility=facility, name=name),
        TestTypeFactory(facility=facility, name=name),
        TestFactory(test_type__facility=facility, name=name),
    ]
    for row in rows:
        row.refresh_from_db()
        assert row.name == name


def test_a_default_id_is_ten_capitals_and_digits():
    ids = {Referral().id for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[A-Z0-9]{10}", referral_id) for referral_id in ids)
    # Each of the 36 is as likely at each place as any other.
    assert len(set("".join(ids))) == 36
    assert all(len({referral_id[place] for referral_id in ids}) == 36 for place in range(10))


def test_the_statuses_have_the_contract_s_names_and_values():
    assert {status.name: status.value for status in TestStatus} == {
        "PENDING": "Pending",
        "RECEIVED": "Received",
        "COMPLETED": "Completed",
    }


# Completion


def test_a_completed_row_saved_by_a_script_gets_its_time(referral):
    before = timezone.now()
    for row in (referral, *referral.tests.all()):
        row.status = TestStatus.COMPLETED
        row.save()
        row.refresh_from_db()
        assert before <= row.completed_at <= timezone.now()


def test_a_row_saved_as_completed_at_once_gets_its_time(ama, branch, blood_count):
    patient = Patient.objects.create(full_name_or_id="Akosua Mensah")
    referral = Referral(
        facility_branch=branch, patient=patient, referred_by=ama, status=TestStatus.COMPLETED
    )
    referral.save()
    test = ReferralTest.objects.create(
        referral=referral, test=blood_count, status=TestStatus.COMPLETED
    )
    assert Referral.objects.get().completed_at is not None
    assert ReferralTest.objects.get(pk=test.pk).completed_at is not None


def test_the_time_is_saved_along_with_the_status(referral):
    for row in (referral, referral.tests.first()):
        updated_at = row.updated_at
        row.status = TestStatus.COMPLETED
        row.save(update_fields=["status"])
        row.refresh_from_db()
        assert row.completed_at is not None
        assert row.updated_at > updated_at

        row.status = TestStatus.RECEIVED
        row.save(update_fields=["status"])
        row.refresh_from_db()
        assert row.completed_at is None


def test_saving_a_completed_row_again_keeps_its_time(referral):
    referral.status = TestStatus.COMPLETED
    referral.save()
    completed_at = referral.completed_at
    referral.clinical_notes = "Seen"
    referral.save()
    referral.refresh_from_db()
    assert referral.completed_at == completed_at


# Turnaround


def test_turnaround_is_none_until_completion(referral):
    assert referral.turnaround_time() is None
    test = referral.tests.first()
    assert test.turnaround_time() is None
    test.status = TestStatus.RECEIVED
    test.save()
    assert test.turnaround_time() is None


@pytest.mark.parametrize(
    ("taken", "hours"),
    [
        (timedelta(0), 0),
        (timedelta(minutes=90), 1.5),
        (timedelta(days=3, hours=1), 73),
        (timedelta(seconds=36), 0.01),
    ],
)
def test_turnaround_is_in_hours(branch, blood_count, taken, hours):
    start = timezone.now() - timedelta(days=10)
    referral = ReferralFactory(
        facility_branch=branch,
        tests=[],
        status=TestStatus.COMPLETED,
        referred_at=start,
        completed_at=start + taken,
    )
    test = ReferralTest.objects.create(
        referral=referral,
        test=blood_count,
        status=TestStatus.COMPLETED,
        created_at=start,
        completed_at=start + taken,
    )
    assert referral.turnaround_time() == pytest.approx(hours)
    assert test.turnaround_time() == pytest.approx(hours)


def test_turnaround_is_none_again_when_a_test_goes_back(referral):
    test = referral.tests.first()
    test.status = TestStatus.COMPLETED
    test.save()
    assert test.turnaround_time() is not None
    test.status = TestStatus.PENDING
    test.save()
    assert test.turnaround_time() is None


# What the admin site's forms ask of a row


def test_a_negative_price_and_a_taken_name_are_refused_by_validation(haematology, blood_count):
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Test(test_type=haematology, name="Film", price=-1).full_clean()
    with pytest.raises(ValidationError, match="already exists in this type"):
        Test(test_type=haematology, name=blood_count.name.lower()).full_clean()


def test_a_change_reads_as_a_sentence(referral, blood_count):
    test = referral.tests.get(test=blood_count)
    test.status = TestStatus.COMPLETED
    test.save()
    referral.status = TestStatus.RECEIVED
    referral.save()
    assert [str(change) for change in StatusChange.objects.all()] == [
        f"FULL BLOOD COUNT of {referral.id}: Pending to Completed",
        f"{referral.id}: Pending to Received",
    ]
