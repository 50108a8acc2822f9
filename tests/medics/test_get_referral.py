import pytest
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from medics.models import ReferralTest, TestStatus
from tests.factories import (
    BranchTechnicianFactory,
    PractitionerFactory,
    ReferralFactory,
    TestFactory,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


def url(referral_id):
    return reverse("medics:get-update-referral", args=[referral_id])


def test_ama_reads_her_referral(signed_in, ama, referral):
    first, second = referral.tests.order_by("id")
    response = signed_in(ama).get(url(referral.id))
    assert response.status_code == 200
    answer = response.json()
    data = answer.pop("data")
    assert answer == {"status": "success", "message": "Referral retrieved successfully"}
    assert parse_datetime(data.pop("referred_at")) == referral.referred_at
    assert parse_datetime(data.pop("updated_at")) == referral.updated_at
    assert [parse_datetime(row.pop("created_at")) for row in data["tests"]] == [
        first.created_at,
        second.created_at,
    ]
    assert data == {
        "referral_id": referral.id,
        "facility_name": "Korle Laboratory",
        "branch_name": "Osu",
        "patient_name_or_id": "Akosua Mensah",
        "clinical_notes": None,
        "referring_doctor": "Ama Serwaa",
        "status": "Pending",
        "completed_at": None,
        "tests": [
            {
                "test_id": first.id,
                "test_name": "FULL BLOOD COUNT",
                "test_type_name": "HAEMATOLOGY",
                "status": "Pending",
            },
            {
                "test_id": second.id,
                "test_name": "SICKLING",
                "test_type_name": "HAEMATOLOGY",
                "status": "Pending",
            },
        ],
    }


def test_a_completed_referral_says_when(signed_in, ama, branch):
    referral = ReferralFactory(
        referred_by=ama, facility_branch=branch, status=TestStatus.COMPLETED, clinical_notes="Fever"
    )
    data = signed_in(ama).get(url(referral.id)).json()["data"]
    assert data["status"] == "Completed"
    assert parse_datetime(data["completed_at"]) == referral.completed_at
    assert data["clinical_notes"] == "Fever"
    assert [row["status"] for row in data["tests"]] == ["Completed"]


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_its_practitioner_the_branch_s_staff_and_the_facility_s_admin_read_it(
    request, signed_in, referral, person
):
    response = signed_in(request.getfixturevalue(person)).get(url(referral.id))
    assert response.status_code == 200
    assert response.json()["data"]["referral_id"] == referral.id


def test_staff_is_whoever_is_assigned_whatever_the_role(signed_in, referral, branch):
    colleague = PractitionerFactory()
    BranchTechnicianFactory(user=colleague, branch=branch)
    assert signed_in(colleague).get(url(referral.id)).status_code == 200


def test_a_closed_branch_s_staff_still_reads_it(signed_in, kofi, efua, referral, branch):
    branch.is_active = False
    branch.save()
    assert signed_in(kofi).get(url(referral.id)).status_code == 200
    assert signed_in(efua).get(url(referral.id)).status_code == 200


def test_who_has_no_part_in_it_is_forbidden(signed_in, outsiders, referral):
    for outsider in outsiders:
        response = signed_in(outsider).get(url(referral.id))
        assert response.status_code == 403
        assert response.json() == {
            "status": "error",
            "code": "403",
            "detail": "You do not have permission to perform this action.",
        }


def test_who_left_the_branch_has_no_part_in_it_any_more(signed_in, kofi, referral):
    client = signed_in(kofi)
    assert client.get(url(referral.id)).status_code == 200
    kofi.branch_assignments.all().delete()
    assert client.get(url(referral.id)).status_code == 403


@pytest.mark.parametrize(
    "referral_id",
    ["ZZZZZZZZZZ", "zzzzzzzzzz", "Z", "1", "Z" * 11, "Z" * 3000, "%00", "ZZZZZZZZZ%C9%9B", "%27--"],
)
def test_an_unknown_referral(signed_in, ama, referral_id):
    response = signed_in(ama).get(f"/api/medics/referral/{referral_id}")
    assert response.status_code == 400
    assert response.json() == {
        "status": "error",
        "code": "400",
        "detail": "Referral does not exist.",
    }


def test_nobody_reads_it_without_a_token(anyone, referral):
    assert anyone.get(url(referral.id)).status_code == 401


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_reading_takes_two_statements_whatever_the_number_of_tests(
    request, signed_in, referral, haematology, person
):
    client = signed_in(request.getfixturevalue(person))
    for number_of_tests in (2, 30):
        while referral.tests.count() < number_of_tests:
            ReferralTest.objects.create(referral=referral, test=TestFactory(test_type=haematology))
        with statements() as sent:
            response = client.get(url(referral.id))
        assert len(response.json()["data"]["tests"]) == number_of_tests
        # the user with the session, the referral with its tests
        assert len(sent) == 2
