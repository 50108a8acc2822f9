"""Operators who look at patients' data are written down, whatever page shows it."""

import pytest
from django.urls import reverse

from medics.models import HistoryEntry, Patient, Referral
from tests.support.admin_models import MODELS, every_model, url_of


def pages_of(model, row) -> list[str]:
    return [url_of(model, "changelist"), *(url_of(model, page, row.pk) for page in PAGES)]


PAGES = ("change", "history")


@pytest.fixture
def in_hospital(referral):
    """Akosua Mensah's referral, with a history of its own and of hers."""
    referral.status = "Received"
    referral.save()
    referral.patient.contact_number = "0208123456"
    referral.patient.save()
    return referral


@every_model
def test_a_page_that_shows_a_patient_leaves_a_line(superuser, root, model, in_hospital, access_log):
    rows = {
        Referral: [in_hospital],
        Patient: [in_hospital.patient],
        HistoryEntry: HistoryEntry.objects.filter(row_table="medics_patient"),
    }
    for row in rows.get(model, [MODELS[model][0]()]):
        for url in pages_of(model, row):
            before = len(access_log())
            page = superuser.get(url).content.decode()
            written = access_log()[before:]
            is_shown = "Akosua" in page or in_hospital.id in page
            assert written or not is_shown, url
            assert model in rows or not (written or is_shown), url
            assert {line["user_id"] for line in written} <= {str(root.pk)}


def test_lists_pages_and_histories_name_what_they_show(superuser, in_hospital, access_log):
    patient = in_hospital.patient
    for row in (in_hospital, patient):
        for url in pages_of(type(row), row):
            superuser.get(url)

    assert [(line["route"], line["referrals"], line["patients"]) for line in access_log()] == [
        ("admin:medics_referral_changelist", [in_hospital.id], []),
        ("admin:medics_referral_change", [in_hospital.id], []),
        ("admin:medics_referral_history", [in_hospital.id], []),
        ("admin:medics_patient_changelist", [], [patient.pk]),
        ("admin:medics_patient_change", [], [patient.pk]),
        ("admin:medics_patient_history", [], [patient.pk]),
    ]


def test_the_history_names_each_once(superuser, in_hospital, access_log):
    superuser.get("/admin/medics/historyentry/")
    [line] = access_log()
    assert (line["referrals"], line["patients"]) == (
        [in_hospital.id],
        [str(in_hospital.patient_id)],
    )


def test_a_choice_of_patients_is_read(superuser, in_hospital, access_log):
    response = superuser.get(
        reverse("admin:autocomplete"),
        {"app_label": "medics", "model_name": "referral", "field_name": "patient", "term": "akos"},
    )
    assert [shown["text"] for shown in response.json()["results"]] == ["Akosua Mensah"]
    [line] = access_log()
    assert (line["route"], line["patients"]) == ("admin:autocomplete", [in_hospital.patient_id])


def test_a_choice_of_people_is_not(superuser, laboratory, access_log):
    superuser.get(
        reverse("admin:autocomplete"),
        {"app_label": "medics", "model_name": "facility", "field_name": "admin", "term": "Efua"},
    )
    assert access_log() == []


def test_who_may_not_see_them_leaves_no_line(browser, operator, in_hospital, access_log):
    operator.user_permissions.clear()
    for row in (in_hospital, in_hospital.patient):
        for url in pages_of(type(row), row):
            assert browser(operator).get(url).status_code == 403
    assert access_log() == []
