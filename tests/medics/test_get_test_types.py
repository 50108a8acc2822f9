import pytest
from django.urls import reverse

from tests.factories import TestTypeFactory
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


def url_of(facility_id):
    return f"/api/medics/facilities/{facility_id}/test-types"


def test_the_path_is_the_contracts():
    assert reverse("medics:get-test-types-by-facility", kwargs={"facility_id": 7}) == url_of(7)


def test_the_types_of_the_facility_are_listed_by_name(anyone, laboratory):
    virology, chemistry, haematology = (
        TestTypeFactory(facility=laboratory, name=name)
        for name in ["VIROLOGY", "chemistry", "HAEMATOLOGY"]
    )
    TestTypeFactory(name="OF ANOTHER FACILITY")

    answer = anyone.get(url_of(laboratory.id))

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Test types for facility retrieved successfully",
        "data": [
            {"id": chemistry.id, "name": "chemistry"},
            {"id": haematology.id, "name": "HAEMATOLOGY"},
            {"id": virology.id, "name": "VIROLOGY"},
        ],
    }


def test_a_facility_without_types_has_an_empty_list(anyone, laboratory):
    answer = anyone.get(url_of(laboratory.id))

    assert answer.status_code == 200
    assert answer.json()["data"] == []


@pytest.mark.parametrize(
    "unknown",
    ["0", "999999", "9" * 19, "9" * 400, "-1", "1.0", "none", "%00", "%FF", "%D9%A1", "%EF%BC%91"],
)
def test_an_unknown_facility_is_bad_input(anyone, haematology, unknown):
    answer = anyone.get(url_of(unknown))

    assert answer.status_code == 400
    assert answer.json() == {
        "status": "error",
        "code": "400",
        "detail": "Facility with the given ID does not exist.",
    }


def test_a_list_that_is_the_same_is_not_sent_again(anyone, laboratory, haematology):
    first = anyone.get(url_of(laboratory.id))

    answer = anyone.get(url_of(laboratory.id), headers={"If-None-Match": first["ETag"]})

    assert first["Cache-Control"] == "no-cache"
    assert answer.status_code == 304
    assert answer["ETag"] == first["ETag"]


def test_a_new_type_shows_in_the_next_answer(anyone, laboratory, haematology):
    etag = anyone.get(url_of(laboratory.id))["ETag"]
    TestTypeFactory(facility=laboratory)

    answer = anyone.get(url_of(laboratory.id), headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 2


def test_a_dead_token_does_not_matter(anyone, laboratory):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    assert anyone.get(url_of(laboratory.id)).status_code == 200


@pytest.mark.parametrize("types", [1, 10])
def test_the_list_takes_three_statements_and_then_one(anyone, laboratory, types):
    TestTypeFactory.create_batch(types, facility=laboratory)

    with statements() as sent:
        first = anyone.get(url_of(laboratory.id))
    # the catalogue's version, whether the facility exists, its types
    assert len(sent) == 3

    with statements() as sent:
        second = anyone.get(url_of(laboratory.id))
    # the version alone: the list is in the cache
    assert len(sent) == 1
    assert second.content == first.content
