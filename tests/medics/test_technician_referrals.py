from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from authentication.models import UserType
from medics.models import TestStatus
from tests.factories import (
    BranchTechnicianFactory,
    FacilityBranchFactory,
    FacilityFactory,
    PractitionerFactory,
    ReferralFactory,
    TechnicianFactory,
    UserFactory,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def url():
    return reverse("medics:get-technician-referrals")


def rows(response):
    assert response.status_code == 200
    return response.json()["data"]["referrals"]


def ids(response):
    return [row["referral_id"] for row in rows(response)]


def test_kofi_lists_what_was_referred_to_his_branch(signed_in, kofi, ama, url, referral):
    response = signed_in(kofi).get(url)
    assert response.json()["message"] == "Referrals retrieved successfully"
    assert set(response.json()) == {"status", "message", "data"}
    data = response.json()["data"]
    assert set(data) == {"referrals", "data_summary", "pagination"}
    [row] = data["referrals"]
    assert row.pop("referral_doctor") == "Ama Serwaa"
    practitioners_list = signed_in(ama).get(reverse("medics:get-practitioner-referrals"))
    assert row == rows(practitioners_list)[0]
    assert data["data_summary"] == practitioners_list.json()["data"]["data_summary"]
    assert data["pagination"] == practitioners_list.json()["data"]["pagination"]


# Which branches


def test_it_holds_all_branches_of_the_technician_closed_ones_too(signed_in, laboratory, url):
    osu, tema, closed = (
        FacilityBranchFactory(facility=laboratory),
        FacilityBranchFactory(facility=laboratory),
        FacilityBranchFactory(facility=laboratory, is_active=False),
    )
    not_theirs = FacilityBranchFactory(facility=laboratory)
    kofi = TechnicianFactory(branches=[osu, tema, closed])
    theirs = {ReferralFactory(facility_branch=branch).id for branch in (osu, tema, closed)}
    ReferralFactory(facility_branch=not_theirs)
    ReferralFactory()
    assert set(ids(signed_in(kofi).get(url))) == theirs


def test_the_facility_s_admin_lists_all_its_branches_and_nothing_else(
    signed_in, efua, laboratory, url
):
    branches = [
        FacilityBranchFactory(facility=laboratory),
        FacilityBranchFactory(facility=laboratory),
        FacilityBranchFactory(facility=laboratory, is_active=False),
    ]
    expected = {ReferralFactory(facility_branch=branch).id for branch in branches}
    ReferralFactory()
    assert set(ids(signed_in(efua).get(url))) == expected


def test_an_admin_who_is_assigned_to_a_branch_sees_each_referral_once(
    signed_in, efua, branch, referral, url
):
    BranchTechnicianFactory(user=efua, branch=branch)
    assert ids(signed_in(efua).get(url)) == [referral.id]


def test_a_technician_of_no_branch_sees_an_empty_list(signed_in, referral, url):
    data = signed_in(TechnicianFactory()).get(url).json()["data"]
    assert data["referrals"] == []
    assert set(data["data_summary"].values()) == {0}
    assert data["pagination"]["total_pages"] == 1


def test_a_technician_of_another_laboratory_sees_none_of_it(signed_in, referral, url):
    other_admin = TechnicianFactory()
    elsewhere = FacilityBranchFactory(facility=FacilityFactory(admin=other_admin))
    assert ids(signed_in(other_admin).get(url)) == []
    assert ids(signed_in(TechnicianFactory(branches=[elsewhere])).get(url)) == []


# The order


@pytest.fixture
def three_doctors(branch):
    """Referrals of three doctors, two a doctor, mixed in time; their names by referral id."""
    now = timezone.now()
    doctors = [PractitionerFactory(full_name=name) for name in ("Yaa", "abena", "Kwame")]
    return {
        ReferralFactory(
            referred_by=doctors[number % 3],
            facility_branch=branch,
            tests=[],
            referred_at=now - timedelta(hours=number),
        ).id: doctors[number % 3].full_name
        for number in range(6)
    }


@pytest.mark.parametrize(
    ("query", "newest_first"),
    [
        ({}, True),
        ({"sort_by": "time"}, True),
        ({"sort_type": "desc"}, True),
        ({"sort_type": "asc"}, False),
        ({"sort_by": "time", "sort_type": "asc"}, False),
    ],
)
def test_by_time(signed_in, kofi, url, three_doctors, query, newest_first):
    by_time = list(three_doctors)
    expected = by_time if newest_first else by_time[::-1]
    assert ids(signed_in(kofi).get(url, query)) == expected


@pytest.mark.parametrize("sort_by", ["doctor", "name"])
@pytest.mark.parametrize(
    ("sort_type", "expected"),
    [
        ({"sort_type": "asc"}, ["abena", "abena", "Kwame", "Kwame", "Yaa", "Yaa"]),
        ({"sort_type": "desc"}, ["Yaa", "Yaa", "Kwame", "Kwame", "abena", "abena"]),
        ({}, ["Yaa", "Yaa", "Kwame", "Kwame", "abena", "abena"]),
    ],
)
def test_by_doctor_case_aside(signed_in, kofi, url, three_doctors, sort_by, sort_type, expected):
    found = rows(signed_in(kofi).get(url, {"sort_by": sort_by, **sort_type}))
    assert [row["referral_doctor"] for row in found] == expected
    assert {row["referral_id"] for row in found} == set(three_doctors)


@pytest.mark.parametrize("key", ["sort_by", "sort_type"])
@pytest.mark.parametrize("value", ["", "id", "DESC", "-referred_at", "patient__full_name", "a\0"])
def test_an_unknown_order_is_refused_under_its_name(signed_in, kofi, url, key, value):
    response = signed_in(kofi).get(url, {key: value})
    assert response.status_code == 400
    assert set(response.json()["detail"]) == {key}


# How much it costs


@pytest.mark.parametrize("query", [{}, {"sort_by": "doctor"}, {"search_query": "osu"}])
@pytest.mark.parametrize("person", ["kofi", "efua"])
def test_a_page_takes_at_most_four_statements_whatever_the_number_of_rows(
    request, signed_in, url, branch, query, person
):
    client = signed_in(request.getfixturevalue(person))
    ReferralFactory(facility_branch=branch)
    for number in (1, 30):
        with statements() as sent:
            response = client.get(url, {"page_size": 30, **query})
        assert len(rows(response)) == number
        # the user with the session, for a search what its text occurs in, the totals, the page
        # with its tests
        assert len(sent) == (4 if "search_query" in query else 3)
        for status in TestStatus.values * 10:
            ReferralFactory(facility_branch=branch, status=status)


# Who


@pytest.mark.parametrize("person", ["a practitioner", "a practitioner of the branch", "a patient"])
def test_who_is_no_technician_may_not(signed_in, url, branch, referral, person):
    if person == "a patient":
        user = UserFactory(user_type=UserType.PATIENT)
    else:
        user = PractitionerFactory()
    if person == "a practitioner of the branch":
        BranchTechnicianFactory(user=user, branch=branch)
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
