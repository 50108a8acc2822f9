import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from medics.models import Referral, ReferralTest, StatusChange, TestStatus
from medics.services.referrals import set_test_status
from tests.factories import FacilityFactory, PatientFactory, ReferralFactory, TestFactory
from tests.support.admin_pages import page_of
from tests.support.audit_context import changes_by

LIST = "/admin/medics/referral/"


@pytest.fixture
def changed(referral, kofi):
    """The referral, of which Kofi has completed the first test."""
    with changes_by(kofi):
        set_test_status(test=referral.tests.first(), status=TestStatus.COMPLETED)
    return referral


def test_the_page_shows_tests_and_history(superuser, changed):
    page = superuser.get(page_of(changed)).content.decode()

    for text in ("Akosua Mensah", "FULL BLOOD COUNT", "SICKLING", "HAEMATOLOGY", "Kofi Boateng"):
        assert text in page
    assert "Korle Laboratory" in page


def test_the_page_offers_nothing_to_fill_in(superuser, changed):
    response = superuser.get(page_of(changed))

    assert not response.context["adminform"].form.fields
    for inline in response.context["inline_admin_formsets"]:
        assert not inline.has_add_permission
        assert not inline.has_change_permission
        assert not inline.has_delete_permission
    assert 'name="_save"' not in response.content.decode()


def test_posting_tests_and_history_changes_neither(superuser, changed, blood_count):
    test = changed.tests.last()
    records = [
        list(model.objects.order_by("pk").values())
        for model in (Referral, ReferralTest, StatusChange)
    ]

    response = superuser.post(
        page_of(changed),
        {
            "tests-TOTAL_FORMS": 1,
            "tests-INITIAL_FORMS": 1,
            "tests-0-id": test.pk,
            "tests-0-status": "Completed",
            "tests-0-DELETE": "on",
            "history-TOTAL_FORMS": 1,
            "history-INITIAL_FORMS": 1,
            "history-0-id": changed.history.first().pk,
            "history-0-DELETE": "on",
        },
    )

    assert response.status_code == 403
    assert records == [
        list(model.objects.order_by("pk").values())
        for model in (Referral, ReferralTest, StatusChange)
    ]


def test_a_patient_is_shown_with_the_referrals(superuser, referral):
    url = reverse("admin:medics_patient_change", args=[referral.patient_id])

    assert page_of(referral) in superuser.get(url).content.decode()


def test_a_page_costs_the_same_however_many_tests_and_changes(
    superuser, changed, haematology, kofi, django_assert_num_queries
):
    superuser.get(page_of(changed))
    with CaptureQueriesContext(connection) as few:
        superuser.get(page_of(changed))
    for test in TestFactory.create_batch(5, test_type=haematology):
        added = ReferralTest.objects.create(referral=changed, test=test)
        set_test_status(test=added, status=TestStatus.COMPLETED)

    with django_assert_num_queries(len(few)):
        superuser.get(page_of(changed))


def test_a_patients_page_shows_the_newest_hundred_referrals_and_leads_to_all(superuser, referral):
    url = reverse("admin:medics_patient_change", args=[referral.patient_id])
    assert "Show all" not in superuser.get(url).content.decode()
    newer = Referral.objects.bulk_create(
        Referral(
            patient=referral.patient,
            referred_by=referral.referred_by,
            facility_branch=referral.facility_branch,
        )
        for _ in range(100)
    )
    ReferralFactory()

    page = superuser.get(url)

    [inline] = page.context["inline_admin_formsets"]
    assert {form.instance for form in inline.formset.initial_forms} == set(newer)
    content = page.content.decode()
    assert page_of(referral) not in content
    [all_of_them] = re.findall('href="([^"]*)">Show all</a>', content)
    assert superuser.get(all_of_them).context["cl"].result_count == 101


def test_a_referrals_page_shows_the_newest_hundred_tests_and_changes(
    superuser, referral, haematology
):
    tests = ReferralTest.objects.bulk_create(
        ReferralTest(referral=referral, test=test)
        for test in TestFactory.create_batch(101, test_type=haematology)
    )
    for status in ("Received", "Pending") * 51:
        Referral.objects.filter(pk=referral.pk).update(status=status)

    page = superuser.get(page_of(referral))

    shown = [
        [form.instance.pk for form in inline.formset.initial_forms]
        for inline in page.context["inline_admin_formsets"]
    ]
    newest = referral.history.order_by("-pk").values_list("pk", flat=True)[:100]
    assert shown == [[test.pk for test in tests[:0:-1]], list(newest)]
    [all_of_them] = re.findall('href="([^"]*)">Show all</a>', page.content.decode())
    assert superuser.get(all_of_them).context["page_range"]


@pytest.mark.parametrize(
    "text", ["akosua", "Osu", "korle", "Ama Serwaa", "sickling", "haematology", "{id}", " {id} "]
)
def test_a_referral_is_found_as_the_service_finds_it(superuser, referral, text):
    ReferralFactory(patient=PatientFactory(full_name_or_id="Yaa Asantewaa"))

    found = superuser.get(LIST, {"q": text.format(id=referral.id)}).context["cl"].result_list

    assert list(found) == [referral]


def test_the_referrals_of_one_facility_and_status_are_a_list(superuser, referral, laboratory):
    ReferralFactory()

    of_facility = superuser.get(LIST, {"facility": laboratory.pk}).context["cl"].result_list
    completed = superuser.get(LIST, {"status__exact": "Completed"}).context["cl"].result_list

    assert list(of_facility) == [referral]
    assert list(completed) == []
    assert superuser.get(LIST, {"facility": FacilityFactory().pk}).context["cl"].result_count == 0


@pytest.mark.parametrize(
    "spelling", ["0244123456", "+233 24 412 3456", "4412345", "GHA-123", "gha-1"]
)
def test_a_patient_is_found_by_id_and_number(superuser, spelling):
    patient = PatientFactory(full_name_or_id="GHA-123", contact_number="0244123456")
    PatientFactory(full_name_or_id="Yaa", contact_number="0209999999")

    found = superuser.get("/admin/medics/patient/", {"q": spelling}).context["cl"].result_list

    assert list(found) == [patient]
