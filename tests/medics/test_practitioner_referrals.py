from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from authentication.models import UserType
from medics.models import TestStatus
from tests.factories import (
    BranchTechnicianFactory,
    FacilityBranchFactory,
    ReferralFactory,
    TestFactory,
    TestTypeFactory,
    UserFactory,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def url():
    return reverse("medics:get-practitioner-referrals")


def ids(response):
    assert response.status_code == 200
    return [row["referral_id"] for row in response.json()["data"]["referrals"]]


def test_ama_lists_her_referrals(signed_in, ama, url, referral):
    response = signed_in(ama).get(url)
    assert response.status_code == 200
    answer = response.json()
    data = answer.pop("data")
    assert answer == {"status": "success", "message": "Referrals retrieved successfully"}
    first, second = referral.tests.order_by("id")
    [row] = data["referrals"]
    assert parse_datetime(row.pop("referred_at")) == referral.referred_at
    assert [parse_datetime(test.pop("created_at")) for test in row["tests"]] == [
        first.created_at,
        second.created_at,
    ]
    assert row == {
        "referral_id": referral.id,
        "patient_name_or_id": "Akosua Mensah",
        "facility_name": "Korle Laboratory",
        "branch_name": "Osu",
        "clinical_notes": None,
        "status": "Pending",
        "test_type_name": "HAEMATOLOGY",
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
    assert data["data_summary"] == {
        "total_referrals": 1,
        "total_completed": 0,
        "total_pending": 1,
        "total_received": 0,
        "total_cancelled": 0,
    }
    assert data["pagination"] == {
        "current_page": 1,
        "page_size": 10,
        "total_pages": 1,
        "total_referrals": 1,
        "has_next": False,
        "has_previous": False,
        "next_cursor": None,
        "previous_cursor": None,
        "total_is_capped": False,
    }
    assert set(data) == {"referrals", "data_summary", "pagination"}


def test_notes_are_shown_where_there_are_some(signed_in, ama, url, branch):
    ReferralFactory(referred_by=ama, facility_branch=branch, clinical_notes="Fever")
    [row] = signed_in(ama).get(url).json()["data"]["referrals"]
    assert row["clinical_notes"] == "Fever"


def test_each_test_type_is_named_once(signed_in, ama, url, branch, haematology, sickling):
    parasites = TestTypeFactory(facility=branch.facility, name="PARASITOLOGY")
    ReferralFactory(
        referred_by=ama,
        facility_branch=branch,
        tests=[
            TestFactory(test_type=parasites),
            sickling,
            TestFactory(test_type=parasites),
            TestFactory(test_type=haematology),
        ],
    )
    [row] = signed_in(ama).get(url).json()["data"]["referrals"]
    assert row["test_type_name"] == "PARASITOLOGY, HAEMATOLOGY"


def test_a_referral_without_tests_has_no_test_type(signed_in, ama, url, branch):
    ReferralFactory(referred_by=ama, facility_branch=branch, tests=[])
    [row] = signed_in(ama).get(url).json()["data"]["referrals"]
    assert row["tests"] == []
    assert row["test_type_name"] == ""


def test_an_empty_list_is_one_page(signed_in, ama, url):
    data = signed_in(ama).get(url).json()["data"]
    assert data["referrals"] == []
    assert set(data["data_summary"].values()) == {0}
    assert data["pagination"]["total_pages"] == 1
    assert data["pagination"]["current_page"] == 1


def test_it_holds_her_own_referrals_alone_wherever_they_went(signed_in, ama, yaw, url, branch):
    hers = {
        ReferralFactory(referred_by=ama, facility_branch=branch).id,
        ReferralFactory(referred_by=ama, facility_branch=FacilityBranchFactory()).id,
        ReferralFactory(referred_by=ama, facility_branch=FacilityBranchFactory(is_active=False)).id,
    }
    ReferralFactory(referred_by=yaw, facility_branch=branch)
    assert set(ids(signed_in(ama).get(url))) == hers


def test_who_also_works_at_a_branch_lists_what_she_referred(signed_in, ama, yaw, url, branch):
    BranchTechnicianFactory(user=ama, branch=branch)
    ReferralFactory(referred_by=yaw, facility_branch=branch)
    assert ids(signed_in(ama).get(url)) == []


def test_the_newest_comes_first(signed_in, ama, url, branch):
    now = timezone.now()
    days_ago = [3, 1, 7, 0, 5]
    made = {
        days: ReferralFactory(
            referred_by=ama,
            facility_branch=branch,
            tests=[],
            referred_at=now - timedelta(days=days),
        ).id
        for days in days_ago
    }
    assert ids(signed_in(ama).get(url)) == [made[days] for days in sorted(days_ago)]


def test_a_page_takes_three_statements_whatever_the_number_of_rows(signed_in, ama, url, branch):
    client = signed_in(ama)
    ReferralFactory(referred_by=ama, facility_branch=branch)
    for rows in (1, 30):
        with statements() as sent:
            response = client.get(url, {"page_size": 30})
        assert len(ids(response)) == rows
        # the user with the session, the totals, the page with its tests
        assert len(sent) == 3
        for status in TestStatus.values * 10:
            ReferralFactory(referred_by=ama, facility_branch=branch, status=status)


@pytest.mark.parametrize("person", ["kofi", "efua", "a patient"])
def test_who_is_no_practitioner_may_not(request, signed_in, url, referral, person):
    if person == "a patient":
        user = UserFactory(user_type=UserType.PATIENT)
    else:
        user = request.getfixturevalue(person)
    client = signed_in(user)
    for query in ({}, {"page_number": "x"}):
        response = client.get(url, query)
        assert response.status_code == 400
        assert response.json() == {
            "status": "error",
            "code": "400",
            "detail": "You do not have permission to view these referrals.",
        }


def test_nobody_lists_without_a_token(anyone, url):
    assert anyone.get(url).status_code == 401
