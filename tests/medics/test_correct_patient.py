"""A patient's particulars are corrected by a command and in the admin site, and nowhere else."""

import io
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from _tetradx.db.audit_context import Command, changes_come_from
from medics.models import HistoryEntry, Patient
from tests.factories import PatientFactory, PractitionerFactory, ReferralFactory, UserFactory
from tests.support.admin_pages import errors_on, filled_in, messages_on, page_of
from tests.support.concurrency import while_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def patient() -> Patient:
    return PatientFactory(full_name_or_id="Akosua Mensa", contact_number="0244123456")


@pytest.fixture
def correct(monkeypatch):
    """Runs the command with these lines on its standard input; gives what it printed."""

    def correct(patient_id, *lines, **options):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        printed = StringIO()
        call_command("correct_patient", patient_id, stdout=printed, **options)
        return printed.getvalue()

    return correct


@pytest.fixture
def refer(signed_in, branch, blood_count):
    def refer(name, number):
        body = {
            "patient_full_name_or_id": name,
            "patient_contact_number": number,
            "tests": [blood_count.id],
            "branch_id": branch.id,
        }
        answer = signed_in(PractitionerFactory()).post(reverse("medics:create-referral"), body)
        assert answer.status_code == 201
        return Patient.objects.get(referrals=answer.json()["data"]["referral_id"])

    return refer


def particulars(patient):
    return Patient.objects.values_list("full_name_or_id", "contact_number").get(pk=patient.pk)


# By the command


def test_referrals_find_the_corrected_patient_and_not_the_former(correct, refer, patient):
    printed = correct(patient.pk, "Akosua Mensah", "020 900 0111")

    assert printed.splitlines() == [
        f"Patient {patient.pk}, with referrals: 0",
        "Name or id: Akosua Mensa is now Akosua Mensah",
        "Contact number: 0244123456 is now 0209000111",
    ]
    assert refer("akosua mensah", "+233209000111") == patient
    assert refer("Akosua Mensa", "0244123456") != patient


@pytest.mark.parametrize(
    ("lines", "then"),
    [
        (("", ""), ("Akosua Mensa", "0244123456")),
        ((), ("Akosua Mensa", "0244123456")),
        (("", "-"), ("Akosua Mensa", "")),
        (("", "+233 24 412 3456"), ("Akosua Mensa", "+233244123456")),
        (("GHA-1", ""), ("GHA-1", "0244123456")),
    ],
)
def test_what_is_left_empty_stays(correct, patient, lines, then):
    correct(patient.pk, *lines)
    assert particulars(patient) == then


def test_the_history_has_old_and_new_and_the_command(correct, patient):
    with changes_come_from(Command.named_by(["manage.py", "correct_patient"])):
        correct(patient.pk, "", "0209000111")

    of_patient = HistoryEntry.objects.filter(
        subject_table="medics_patient", subject_id=str(patient.pk), action="changed"
    )
    assert of_patient.values_list("old", "new", "request_id").get() == (
        {"contact_number": "0244123456"},
        {"contact_number": "0209000111"},
        "manage.py correct_patient",
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("n" * 256, ""), "255 characters"),
        (("", "123"), "phone number"),
        (("", "Akosua"), "phone number"),
    ],
)
def test_particulars_that_nobody_can_have_are_refused(correct, patient, lines, words):
    with pytest.raises(CommandError, match=words):
        correct(patient.pk, *lines)
    assert particulars(patient) == ("Akosua Mensa", "0244123456")


def test_an_unknown_patient_is_said_to_be(correct):
    with pytest.raises(CommandError, match="There is no patient 4711"):
        correct(4711, "", "")


def test_one_who_would_equal_another_is_refused_unless_that_may_be(correct, patient, refer):
    other = PatientFactory(full_name_or_id="AKOSUA  MENSAH", contact_number="+233244123456")
    # Not the same as anybody: no number is never the same as no number.
    PatientFactory(full_name_or_id="Akosua Mensah")
    correct(patient.pk, "Akosua Mensah", "-")
    correct(patient.pk, "Akosua Mensa", "0244123456")

    with pytest.raises(CommandError, match=f"Patient {other.pk} would be the same") as refusal:
        correct(patient.pk, "Akosua Mensah", "")
    assert "--although-equal" in str(refusal.value)
    assert "Akosua" not in str(refusal.value)
    assert particulars(patient) == ("Akosua Mensa", "0244123456")

    correct(patient.pk, "Akosua Mensah", "", although_equal=True)
    assert particulars(patient) == ("Akosua Mensah", "0244123456")
    # Who is one patient already may be respelled.
    correct(other.pk, "Akosua Mensah", "", although_equal=True)


def test_an_identifier_is_the_same_where_one_practitioner_named_both(correct, patient, ama, yaw):
    known = PatientFactory(full_name_or_id="GHA-1")
    ReferralFactory(referred_by=ama, patient=known)
    ReferralFactory(referred_by=yaw, patient=patient)
    correct(patient.pk, "gha-1", "")
    correct(patient.pk, "GHA-2", "")

    ReferralFactory(referred_by=ama, patient=patient)
    with pytest.raises(CommandError, match=f"Patient {known.pk} would be the same"):
        correct(patient.pk, "gha-1", "")


@pytest.mark.django_db(transaction=True)
def test_a_referral_at_the_same_time_makes_no_equal_patient(correct, patient, refer):
    def refusal():
        try:
            return correct(patient.pk, "Akosua Mensah", "")
        except CommandError as error:
            return str(error)

    answer = while_open(lambda: refer("Akosua Mensah", "0244123456"), refusal)

    assert "would be the same" in answer
    assert Patient.objects.named("Akosua Mensah").count() == 1


# In the admin site


@pytest.fixture
def browser_of(db):
    def browser_of(*permissions):
        operator = UserFactory(full_name="Adwoa Operator", is_staff=True)
        operator.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser = Client()
        browser.force_login(operator)
        return browser

    return browser_of


def test_whoever_may_corrects_a_patient_on_its_page(browser_of, patient):
    browser = browser_of("view_patient", "correct_patient")
    url = page_of(patient)

    answer = browser.post(url, filled_in(browser, url, contact_number="+233 24 412 3456"))

    assert answer.status_code == 302
    assert particulars(patient) == ("Akosua Mensa", "+233244123456")
    entry = HistoryEntry.objects.get(subject_id=str(patient.pk), action="changed")
    assert entry.changed_by.full_name == "Adwoa Operator"
    assert Patient.objects.get(contact_key="+233244123456") == patient
    # Django's own log would keep the name for ever.
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "permissions", [["view_patient"], ["view_patient", "change_patient", "delete_patient"]]
)
def test_others_only_look(browser_of, patient, permissions):
    browser = browser_of(*permissions)
    page = browser.get(page_of(patient))

    assert page.status_code == 200
    assert not page.context["adminform"].form.fields
    answer = browser.post(page_of(patient), {"full_name_or_id": "X", "contact_number": ""})
    assert answer.status_code == 403
    assert particulars(patient) == ("Akosua Mensa", "0244123456")


def test_nobody_adds_or_deletes_one(browser_of, patient):
    browser = browser_of(*("add_patient", "delete_patient", "correct_patient"))
    assert browser.get(reverse("admin:medics_patient_add")).status_code == 403
    assert (
        browser.post(reverse("admin:medics_patient_delete", args=[patient.pk])).status_code == 403
    )


def test_the_form_names_what_is_wrong_and_keeps_what_was_typed(browser_of, patient):
    other = PatientFactory(full_name_or_id="Akosua Mensah", contact_number="0244123456")
    browser, url = browser_of("correct_patient"), page_of(patient)

    wrong = browser.post(url, filled_in(browser, url, full_name_or_id="", contact_number="1"))
    assert set(errors_on(wrong)) == {"full_name_or_id", "contact_number"}

    equal = filled_in(browser, url, full_name_or_id="Akosua Mensah")
    refused = browser.post(url, equal)
    assert f"Patient {other.pk} would be the same" in errors_on(refused)["__all__"][0]
    assert refused.context["adminform"].form["full_name_or_id"].value() == "Akosua Mensah"
    assert particulars(patient) == ("Akosua Mensa", "0244123456")

    assert browser.post(url, equal | {"may_equal_another": "on"}).status_code == 302
    assert particulars(patient) == ("Akosua Mensah", "0244123456")


def test_a_stale_page_says_who_corrected_the_patient(browser_of, patient):
    browser, url = browser_of("correct_patient"), page_of(patient)
    stale = filled_in(browser, url, full_name_or_id="Akosua Mensah")
    browser.post(url, filled_in(browser, url, contact_number="0209000111"))

    [error] = errors_on(browser.post(url, stale))["__all__"]

    assert error.startswith("This was changed by Adwoa Operator at ")
    assert particulars(patient) == ("Akosua Mensa", "0209000111")


def test_one_who_is_removed_meanwhile_is_a_conflict(browser_of, patient, monkeypatch):
    browser, url = browser_of("correct_patient"), page_of(patient)
    sent = filled_in(browser, url)

    def removed(**particulars):
        raise Patient.DoesNotExist

    monkeypatch.setattr("medics.admin.referrals.correct_patient", removed)
    answer = browser.post(url, sent, follow=True)
    assert "changed by somebody else" in messages_on(answer)[0]
