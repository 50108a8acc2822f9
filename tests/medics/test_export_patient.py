"""All that is held about one patient, for whoever has to be told."""

import json
import stat
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from medics.models import HistoryEntry, Patient, Referral
from tests.factories import PatientFactory, ReferralFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def patient(signed_in, ama, kofi, branch, blood_count) -> Patient:
    """Akosua Mensah, once referred and received, and given another number since."""
    signed_in(ama).post(
        reverse("medics:create-referral"),
        {
            "patient_full_name_or_id": "Akosua Mensah",
            "patient_contact_number": "0208123456",
            "clinical_notes": "Fever, ü.",
            "branch_id": branch.id,
            "tests": [blood_count.id],
        },
    )
    path = reverse("medics:get-update-referral", args=[Referral.objects.get().pk])
    signed_in(kofi).put(path, {"status": "Received"})
    patient = Patient.objects.get()
    patient.contact_number = "0208654321"
    patient.save()
    return patient


def export(*arguments, **options) -> str:
    printed = StringIO()
    call_command("export_patient", *arguments, stdout=printed, **options)
    return printed.getvalue()


def test_all_about_the_patient_is_in_it_and_nobody_else(patient, ama, kofi):
    ReferralFactory(patient=PatientFactory(full_name_or_id="Yaa Asantewaa"))

    text = export(id=patient.pk)

    held = json.loads(text)
    assert held["patient"]["full_name_or_id"] == "Akosua Mensah"
    assert held["patient"]["contact_number"] == "0208654321"
    [referral] = held["referrals"]
    assert referral["clinical_notes"] == "Fever, ü."
    assert (referral["facility"], referral["branch"]) == ("Korle Laboratory", "Osu")
    assert referral["referred_by"] == str(ama)
    [test] = referral["tests"]
    assert (test["name"], test["type"]) == ("FULL BLOOD COUNT", "HAEMATOLOGY")
    told = [(entry["changed_by"], entry["old"], entry["new"]) for entry in held["history"]]
    assert told[:2] == [
        (str(ama), None, {"full_name_or_id": "Akosua Mensah", "contact_number": "0208123456"}),
        (str(kofi), {"status": "Pending"}, {"status": "Received"}),
    ]
    assert told[2][1:] == ({"contact_number": "0208123456"}, {"contact_number": "0208654321"})
    [kept] = held["answers_kept_for_repeated_requests"]
    assert "Akosua Mensah" in kept["answer"]
    assert "Fever, ü." in text
    assert "Yaa" not in text


def test_the_history_says_that_it_was_exported_and_by_whom(patient, monkeypatch):
    monkeypatch.setenv("LOGNAME", "adwoa")
    export(id=patient.pk)

    newest = HistoryEntry.objects.filter(
        subject_table="medics_patient", subject_id=patient.pk
    ).latest("changed_at")
    assert (newest.action, newest.row_table) == ("exported", "medics_patient")
    assert newest.new == {"run_by": "adwoa"}


def test_a_file_is_for_its_owner_alone_and_none_is_overwritten(patient, tmp_path):
    file = tmp_path / "patient.json"
    assert export(id=patient.pk, output=str(file)) == ""

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["patient"]["id"] == patient.pk
    with pytest.raises(CommandError, match="File exists"):
        export(id=patient.pk, output=str(file))
    assert HistoryEntry.objects.filter(action="exported").count() == 1


@pytest.mark.parametrize("text", ["akosua", "MENSAH", "+233 20 865 4321"])
def test_a_name_or_number_lists_whom_it_may_mean(patient, text):
    namesake = PatientFactory(full_name_or_id="Akosua Mensah", contact_number="0208654321")
    PatientFactory(full_name_or_id="Yaa Asantewaa")

    assert export(text).splitlines() == [
        f"--id={patient.pk}  Akosua Mensah  0208654321  referrals: 1",
        f"--id={namesake.pk}  Akosua Mensah  0208654321  referrals: 0",
    ]
    assert not HistoryEntry.objects.filter(action="exported").exists()


def test_many_are_not_all_listed(db):
    PatientFactory.create_batch(51, full_name_or_id="Akosua")
    lines = export("Akosua").splitlines()
    assert len(lines) == 51
    assert lines[-1] == "There are more: say more of the name."


@pytest.mark.parametrize("options", [{"id": 0}, {"text": "nobody"}])
def test_whoever_is_unknown_is_said_to_be(db, options):
    with pytest.raises(CommandError, match="There is no"):
        export(*options.values()) if "text" in options else export(**options)


def test_somebody_must_be_named(db):
    with pytest.raises(CommandError):
        export()
