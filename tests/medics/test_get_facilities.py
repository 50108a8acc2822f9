import pytest
from django.urls import reverse

from medics.models import Facility
from tests.factories import FacilityFactory
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

URL = "/api/medics/facilities"


def test_the_path_is_the_contracts():
    assert reverse("medics:get-facilities") == URL


def test_facilities_are_listed_by_name_whatever_its_case(anyone):
    ridge, achimota, legon = (
        FacilityFactory(name=name) for name in ["Ridge Scans", "achimota Labs", "Legon Diagnostics"]
    )

    answer = anyone.get(URL)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "status": "success",
        "message": "Facilities retrieved successfully",
        "data": [
            {"id": achimota.id, "name": "achimota Labs"},
            {"id": legon.id, "name": "Legon Diagnostics"},
            {"id": ridge.id, "name": "Ridge Scans"},
        ],
    }


def test_facilities_are_listed_as_people_read_them(anyone):
    names = ["Zongo", "\u00c9clair", "Ethel", "E\u0301den", "\u0186bra", "Osu", "\u0190si", "Fanti"]
    for name in names:
        FacilityFactory(name=name)

    assert [row["name"] for row in anyone.get(URL).json()["data"]] == [
        *("\u00c9clair", "\u00c9den", "Ethel", "\u0190si", "Fanti", "Osu", "\u0186bra", "Zongo")
    ]


def test_two_facilities_of_one_name_keep_their_order(anyone):
    first, second = FacilityFactory(name="Ridge"), FacilityFactory(name="ridge")

    assert [row["id"] for row in anyone.get(URL).json()["data"]] == [first.id, second.id]


def test_without_a_facility_the_list_is_empty(anyone):
    answer = anyone.get(URL)

    assert answer.status_code == 200
    assert answer.json()["data"] == []


def test_a_dead_token_does_not_matter(anyone):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    assert anyone.get(URL).status_code == 200


def test_the_list_may_be_kept_but_must_be_asked_for_again(anyone):
    answer = anyone.get(URL)

    assert answer["Cache-Control"] == "no-cache"
    assert answer["ETag"]


def test_a_list_that_is_the_same_is_not_sent_again(anyone, laboratory):
    etag = anyone.get(URL)["ETag"]

    answer = anyone.get(URL, headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert answer.content == b""
    assert answer["ETag"] == etag
    assert answer["Cache-Control"] == "no-cache"
    assert answer["X-Request-ID"]


@pytest.mark.parametrize("header", ['"another"', "nonsense", '"', ""])
def test_another_etag_gets_the_list(anyone, laboratory, header):
    answer = anyone.get(URL, headers={"If-None-Match": header})

    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 1


def test_a_change_shows_in_the_next_answer(anyone, laboratory):
    etag = anyone.get(URL)["ETag"]
    Facility.objects.update(name="Korle Bu Laboratory")

    answer = anyone.get(URL, headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert answer.json()["data"] == [{"id": laboratory.id, "name": "Korle Bu Laboratory"}]


@pytest.mark.parametrize("facilities", [1, 10])
def test_the_list_takes_two_statements_and_then_one(anyone, facilities):
    FacilityFactory.create_batch(facilities)

    with statements() as sent:
        first = anyone.get(URL)
    # the catalogue's version, the facilities
    assert len(sent) == 2

    with statements() as sent:
        second = anyone.get(URL)
    # the version alone: the list is in the cache
    assert len(sent) == 1
    assert second.content == first.content


@pytest.mark.parametrize(
    "header", [{"If-Match": '"another"'}, {"If-Unmodified-Since": "Mon, 02 Mar 2026 08:15:00 GMT"}]
)
def test_a_condition_on_a_change_does_not_concern_a_list_that_is_read(anyone, header):
    assert anyone.get(URL, headers=header).status_code == 200
