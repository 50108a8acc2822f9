from collections import Counter

import pytest
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from medics.models import FacilityBranch
from tests.factories import FacilityBranchFactory, FacilityFactory, TechnicianFactory
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

URL = "/api/medics/branches/add"


def test_the_path_is_the_contracts():
    assert reverse("medics:add-branch") == URL


def test_the_administrator_adds_a_branch(signed_in, efua, laboratory):
    answer = signed_in(efua).post(URL, {"name": "Tema"})

    branch = FacilityBranch.objects.get()
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert answer.json() == {
        "status": "success",
        "message": "Facility branch added successfully",
        "data": {
            "id": str(branch.id),
            "name": "Tema",
            "facility_name": "Korle Laboratory",
            "facility_branch_id": branch.id,
            "facility_branch_name": "Tema",
            "created_at": data["created_at"],
        },
    }
    assert data["created_at"].endswith("Z")
    assert parse_datetime(data["created_at"]) == branch.created_at
    assert branch.facility == laboratory
    assert branch.is_active


def test_a_practitioner_whom_a_facility_names_is_its_administrator(signed_in, ama):
    facility = FacilityFactory(admin=ama)

    assert signed_in(ama).post(URL, {"name": "Tema"}).status_code == 201
    assert facility.branches.get().name == "Tema"


def test_the_name_is_kept_as_written_but_trimmed(signed_in, efua, laboratory):
    signed_in(efua).post(URL, {"name": "  osu  Re "})

    assert FacilityBranch.objects.get().name == "osu  Re"


@pytest.mark.parametrize("name", ["Osu", "osu", " OSU "])
def test_a_taken_name_is_refused(signed_in, efua, branch, name):
    answer = signed_in(efua).post(URL, {"name": name})

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["name"]
    assert FacilityBranch.objects.get() == branch


def test_the_name_of_a_closed_branch_is_taken_too(signed_in, efua, laboratory):
    FacilityBranchFactory(facility=laboratory, name="Tema", is_active=False)

    answer = signed_in(efua).post(URL, {"name": "Tema"})

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["name"]


def test_another_facilitys_branch_may_have_the_name(signed_in, efua, laboratory):
    FacilityBranchFactory(name="Tema")

    assert signed_in(efua).post(URL, {"name": "Tema"}).status_code == 201


@pytest.mark.parametrize("name", ["", "   ", None, [], {}, True, "a\x00b", "A" * 256])
def test_what_is_no_name_is_refused(signed_in, efua, laboratory, name):
    answer = signed_in(efua).post(URL, {"name": name})

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["name"]
    assert not FacilityBranch.objects.exists()


def test_a_missing_name_is_named(signed_in, efua, laboratory):
    answer = signed_in(efua).post(URL, {})

    assert answer.status_code == 400
    assert answer.json()["detail"] == {"name": ["This field is required."]}


@pytest.mark.parametrize("who", ["kofi", "ama"])
def test_whoever_administers_no_facility_is_refused(signed_in, laboratory, request, who):
    answer = signed_in(request.getfixturevalue(who)).post(URL, {"name": "Tema"})

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Unauthorized: Only facility admins can add branches."
    assert not FacilityBranch.objects.filter(name="Tema").exists()


def test_an_administrator_of_a_branch_is_none_of_the_facility(signed_in, branch):
    technician = TechnicianFactory(branches=[branch])
    technician.branch_assignments.update(is_admin=True)

    assert signed_in(technician).post(URL, {"name": "Tema"}).status_code == 400


def test_without_a_token_nothing_is_added(anyone, laboratory):
    assert anyone.post(URL, {"name": "Tema"}).status_code == 401
    assert not FacilityBranch.objects.exists()


def test_adding_takes_two_statements(signed_in, efua, laboratory):
    client = signed_in(efua)

    with statements() as sent:
        client.post(URL, {"name": "Tema"})

    # the user with session and facility, the branch
    assert len(sent) == 2


@pytest.mark.django_db(transaction=True)
def test_of_ten_at_once_with_one_name_one_is_added(signed_in, efua, laboratory):
    client = signed_in(efua)

    answers = at_once(lambda name: client.post(URL, {"name": name}), ["Tema", "tema"] * 5)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 9}
    assert all(
        list(answer.json()["detail"]) == ["name"] for answer in answers if answer.status_code == 400
    )
    assert FacilityBranch.objects.count() == 1
