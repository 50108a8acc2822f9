"""Patients whose referrals are long done are removed with all that is held about them."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from medics.models import (
    Change,
    HistoryEntry,
    IdempotentRequest,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
)
from medics.services import retention
from tests.factories import PatientFactory, ReferralFactory
from tests.support.concurrency import while_open
from tests.support.database import own_role
from tests.support.referral_counts import wrong_counts

pytestmark = pytest.mark.django_db

YEAR = 365


def days_ago(days):
    return timezone.now() - timedelta(days=days)


def patient_of(*ages, status="Completed", made=3 * YEAR, **fields):
    """A patient with referrals of which each was completed so many days ago."""
    patient = PatientFactory(created_at=days_ago(made), **fields)
    for age in ages:
        referral = ReferralFactory(patient=patient, referred_at=days_ago(age + 1))
        referral.tests.update(status="Completed", completed_at=days_ago(age))
        completed_at = days_ago(age) if status == "Completed" else None
        Referral.objects.filter(pk=referral.pk).update(status=status, completed_at=completed_at)
        Patient.objects.filter(pk=patient.pk).update(contact_number=str(age))
    return patient


def apply_retention(**options):
    printed = StringIO()
    call_command("apply_retention", stdout=printed, **options)
    return printed.getvalue()


def left():
    return set(Patient.objects.all())


def history_of(patient):
    return HistoryEntry.objects.filter(subject_table="medics_patient", subject_id=str(patient.pk))


def test_a_patient_goes_with_all_that_is_held(ama):
    old, young = patient_of(2 * YEAR, 3 * YEAR), patient_of(10)
    IdempotentRequest.objects.create(
        practitioner=ama,
        token="key:1",
        referral=old.referrals.first(),
        answer=old.full_name_or_id,
        expires_at=timezone.now(),
    )

    said = apply_retention(days=YEAR, delete=True)

    assert said == "1 patients with 2 referrals were removed.\n"
    assert left() == {young}
    assert set(Referral.objects.values_list("patient", flat=True)) == {young.pk}
    assert set(ReferralTest.objects.values_list("referral__patient", flat=True)) == {young.pk}
    assert set(StatusChange.objects.values_list("referral__patient", flat=True)) == {young.pk}
    assert not IdempotentRequest.objects.exists()
    assert old.full_name_or_id not in str(list(Change.objects.values()))
    assert wrong_counts() == []


def test_what_is_left_has_its_history_still():
    young = patient_of(10)
    before = list(history_of(young).order_by("id").values())
    patient_of(2 * YEAR)

    apply_retention(days=YEAR, delete=True)

    assert list(history_of(young).order_by("id").values()) == before != []


@pytest.mark.parametrize(
    ("ages", "fields"),
    [
        ([2 * YEAR, 10], {}),
        ([2 * YEAR], {"status": "Received"}),
        ([2 * YEAR], {"status": "Pending"}),
        ([], {"made": 10}),
    ],
)
def test_a_patient_of_whom_something_is_young_or_open_stays(ages, fields):
    patient = patient_of(*ages, **fields)
    apply_retention(days=YEAR, delete=True)
    assert left() == {patient}


@pytest.mark.parametrize(("closed", "stays"), [(10, True), (2 * YEAR, False)])
def test_a_cancelled_referral_counts_from_when_it_was_closed(closed, stays):
    patient = patient_of(3 * YEAR)
    Referral.objects.update(
        status="Cancelled",
        completed_at=None,
        closed_at=days_ago(closed),
        closing_code="other",
        closing_note="Made up by a stranger",
    )

    apply_retention(days=YEAR, delete=True)

    assert left() == ({patient} if stays else set())
    assert HistoryEntry.objects.filter(new__closing_code="other").exists() is stays


def test_a_patient_without_referrals_goes_by_age():
    patient_of(made=2 * YEAR)
    apply_retention(days=YEAR, delete=True)
    assert left() == set()


def test_without_delete_it_only_counts():
    patient_of(2 * YEAR)
    said = apply_retention(days=YEAR)
    assert said.startswith("1 patients with 1 referrals would be removed.")
    assert Patient.objects.count() == 1
    assert not HistoryEntry.objects.filter(action="removed").exists()


@pytest.mark.parametrize("options", [{}, {"days": 0}, {"days": -1}, {"days": 1, "batch_size": 0}])
def test_a_period_must_be_given(options):
    patient_of(2 * YEAR)
    with pytest.raises(CommandError):
        apply_retention(**options, delete=True)
    assert Patient.objects.count() == 1


def test_each_batch_is_a_line_of_the_history(monkeypatch):
    monkeypatch.setenv("LOGNAME", "adwoa")
    for _ in range(3):
        patient_of(2 * YEAR)

    apply_retention(days=YEAR, delete=True, batch_size=2)

    told = list(HistoryEntry.objects.filter(action="removed").order_by("changed_at"))
    assert [(entry.new["patients"], entry.new["referrals"]) for entry in told] == [(2, 2), (1, 1)]
    assert {entry.new["run_by"] for entry in told} == {"adwoa"}
    assert all(entry.new["completed_before"][:4].isdigit() for entry in told)


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_fails_changes_nothing(monkeypatch):
    first, second = patient_of(2 * YEAR), patient_of(2 * YEAR)
    remove = retention.remove

    def fail(patients):
        remove(patients)
        if second.pk in patients:
            raise RuntimeError

    monkeypatch.setattr(retention, "remove", lambda patients: fail(patients) or 1)
    with pytest.raises(RuntimeError):
        apply_retention(days=YEAR, delete=True, batch_size=1)

    assert left() == {second}
    assert second.referrals.count() == 1
    assert history_of(second).exists()
    assert not history_of(first).exists()


@pytest.mark.django_db(transaction=True)
def test_a_patient_who_is_being_referred_again_stays():
    patient = patient_of(2 * YEAR)
    while_open(
        lambda: ReferralFactory(patient=patient),
        lambda: apply_retention(days=YEAR, delete=True),
    )
    assert left() == {patient}
    assert patient.referrals.count() == 2


def test_a_referral_that_came_between_the_look_and_the_lock_keeps_the_patient(monkeypatch):
    patient = patient_of(2 * YEAR)
    looked = []
    expired = retention.expired_patients

    def expired_with_one_between(completed_before):
        if len(looked) == 1:
            ReferralFactory(patient=patient)
        looked.append(True)
        return expired(completed_before)

    monkeypatch.setattr(retention, "expired_patients", expired_with_one_between)
    apply_retention(days=YEAR, delete=True)

    assert left() == {patient}
    assert patient.referrals.count() == 2


def test_the_role_of_the_service_is_told_that_it_may_not():
    patient, role = patient_of(2 * YEAR), own_role("service")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        cursor.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(CommandError, match="owns the tables"):
            apply_retention(days=YEAR, delete=True)
        cursor.execute("RESET ROLE")
    assert left() == {patient}
