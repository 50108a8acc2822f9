import pytest
from django.urls import reverse

from tests.factories import TestFactory
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


def url_of(test_type_id):
    return f"/api/medics/test-types/{test_type_id}/tests"


def test_the_path_is_the_contracts():
    assert reverse("medics:get-tests-by-test-type", kwargs={"test_type_id": 7}) == url_of(7)


def test_the_tests_of_the_type_are_listed_by_name(anyone, haematology):
    sickling, film, count = (
        TestFactory(test_type=haematology, name=name)
        for name in ["SICKLING", "blood film", "FULL BLOOD COUNT"]
    )
    TestFactory(name="OF ANOTHER TYPE")

    answer = anyone.get(url_of(haematology.id))

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Tests for test type retrieved successfully",
        "data": [
            {"id": film.id, "name": "blood film"},
            {"id": count.id, "name": "FULL BLOOD COUNT"},
            {"id": sickling.id, "name": "SICKLING"},
        ],
    }


def test_a_type_without_tests_has_an_empty_list(anyone, haematology):
    answer = anyone.get(url_of(haematology.id))

    assert answer.status_code == 200
    assert answer.json()["data"] == []


@pytest.mark.parametrize(
    "unknown",
    ["0", "999999", "9" * 19, "9" * 400, "-1", "1.0", "none", "%00", "%FF", "%D9%A1", "%EF%BC%91"],
)
def test_an_unknown_type_is_bad_input(anyone, blood_count, unknown):
    answer = anyone.get(url_of(unknown))

    assert answer.status_code == 400
    assert answer.json() == {
        "status": "error",
        "code": "400",
        "detail": "Test type with the given ID does not exist.",
    }


def test_a_list_that_is_the_same_is_not_sent_again(anyone, haematology, blood_count):
    first = anyone.get(url_of(haematology.id))

    answer = anyone.get(url_of(haematology.id), headers={"If-None-Match": first["ETag"]})

    assert first["Cache-Control"] == "no-cache"
    assert answer.status_code == 304
    assert answer["ETag"] == first["ETag"]


def test_a_new_test_shows_in_the_next_answer(anyone, haematology, blood_count):
    etag = anyone.get(url_of(haematology.id))["ETag"]
    TestFactory(test_type=haematology)

    answer = anyone.get(url_of(haematology.id), headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 2


def test_a_dead_token_does_not_matter(anyone, haematology):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    assert anyone.get(url_of(haematology.id)).status_code == 200


@pytest.mark.parametrize("tests", [1, 10])
def test_the_list_takes_three_statements_and_then_one(anyone, haematology, tests):
    TestFactory.create_batch(tests, test_type=haematology)

    with statements() as sent:
        first = anyone.get(url_of(haematology.id))
    # the catalogue's version, whether the type exists, its tests
    assert len(sent) == 3

    with statements() as sent:
        second = anyone.get(url_of(haematology.id))
    # the version alone: the list is in the cache
    assert len(sent) == 1
    assert second.content == first.content
