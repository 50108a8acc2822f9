import pytest
from django.urls import reverse

from medics.models import FacilityBranch
from tests.factories import FacilityBranchFactory
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


def url_of(facility_id):
    return f"/api/medics/facilities/{facility_id}/branches"


def test_the_path_is_the_contracts():
    assert reverse("medics:get-branches-by-facility", kwargs={"facility_id": 7}) == url_of(7)


def test_the_branches_of_the_facility_are_listed_by_name(anyone, laboratory):
    tema, accra, osu = (
        FacilityBranchFactory(facility=laboratory, name=name) for name in ["Tema", "accra", "Osu"]
    )
    FacilityBranchFactory(name="Of another facility")

    answer = anyone.get(url_of(laboratory.id))

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Branches retrieved successfully",
        "data": [
            {"id": accra.id, "name": "accra"},
            {"id": osu.id, "name": "Osu"},
            {"id": tema.id, "name": "Tema"},
        ],
    }


def test_closed_branches_are_left_out(anyone, laboratory):
    FacilityBranchFactory(facility=laboratory, is_active=False)

    assert anyone.get(url_of(laboratory.id)).json()["data"] == []


@pytest.mark.parametrize(
    "unknown",
    ["0", "999999", "9" * 19, "9" * 400, "-1", "1.0", "none", "%00", "%FF", "%D9%A1", "%EF%BC%91"],
)
def test_an_unknown_facility_has_none(anyone, branch, unknown):
    answer = anyone.get(url_of(unknown))

    assert answer.status_code == 200
    assert answer.json()["data"] == []


def test_a_list_that_is_the_same_is_not_sent_again(anyone, laboratory, branch):
    first = anyone.get(url_of(laboratory.id))

    answer = anyone.get(url_of(laboratory.id), headers={"If-None-Match": first["ETag"]})

    assert first["Cache-Control"] == "no-cache"
    assert answer.status_code == 304
    assert answer["ETag"] == first["ETag"]


def test_a_branch_that_is_closed_is_gone_from_the_next_answer(anyone, laboratory, branch):
    etag = anyone.get(url_of(laboratory.id))["ETag"]
    FacilityBranch.objects.update(is_active=False)

    answer = anyone.get(url_of(laboratory.id), headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert answer.json()["data"] == []


def test_a_dead_token_does_not_matter(anyone, laboratory):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    assert anyone.get(url_of(laboratory.id)).status_code == 200


@pytest.mark.parametrize("branches", [1, 10])
def test_the_list_takes_two_statements_and_then_one(anyone, laboratory, branches):
    FacilityBranchFactory.create_batch(branches, facility=laboratory)

    with statements() as sent:
        first = anyone.get(url_of(laboratory.id))
    # the catalogue's version, the branches
    assert len(sent) == 2

    with statements() as sent:
        second = anyone.get(url_of(laboratory.id))
    # the version alone: the list is in the cache
    assert len(sent) == 1
    assert second.content == first.content
