"""One description of a referral: all answers, their schema and their examples follow from it."""

import pytest
from django.urls import reverse

from medics.referral_fields import (
    CREATED_REFERRAL,
    FIRST_FIELDS,
    ONE_REFERRAL,
    PRACTITIONERS_ROW,
    TECHNICIANS_ROW,
    TEST_FIELDS,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def answers(signed_in, ama, kofi, branch, blood_count, sickling):
    """What each route answers of one referral, with the fields that it is to show."""
    practitioner, technician = signed_in(ama), signed_in(kofi)
    body = {
        "patient_full_name_or_id": "Akosua Mensah",
        "tests": [blood_count.id, sickling.id],
        "branch_id": branch.id,
        "clinical_notes": "Fever",
    }

    def data_of(response):
        assert response.status_code in {200, 201}, response.json()
        return response.json()["data"]

    created = data_of(practitioner.post(reverse("medics:create-referral"), body))
    path = reverse("medics:get-update-referral", args=[created["referral_id"]])
    own, at_branch = (
        data_of(client.get(reverse(f"medics:{name}")))["referrals"]
        for client, name in [
            (practitioner, "get-practitioner-referrals"),
            (technician, "get-technician-referrals"),
        ]
    )
    return [
        (created, CREATED_REFERRAL),
        (data_of(practitioner.get(path)), ONE_REFERRAL),
        (data_of(technician.put(path, {"status": "Pending"})), ONE_REFERRAL),
        (own[0], PRACTITIONERS_ROW),
        (at_branch[0], TECHNICIANS_ROW),
    ]


def test_every_answer_shows_its_fields_in_order_and_says_the_same_under_one_name(answers):
    said = {}
    for answer, fields in answers:
        assert list(answer) == list(fields)
        assert list(answer)[: len(FIRST_FIELDS)] == list(FIRST_FIELDS)
        assert [list(test) for test in answer["tests"]] == [list(TEST_FIELDS)] * 2
        for name, value in answer.items():
            assert said.setdefault(name, value) == value
    assert said["clinical_notes"] == "Fever"
    assert said["referring_doctor"] == said["referral_doctor"] == "Ama Serwaa"


def test_the_examples_have_the_shape_of_the_answers(answers):
    for answer, fields in answers:
        for name, value in answer.items():
            assert type(fields[name].example) is type(value), name


@pytest.mark.parametrize("status", ["Pending", "Received"])
def test_a_change_is_answered_with_the_statement_of_the_reading_route(
    signed_in, kofi, referral, status
):
    client = signed_in(kofi)
    path = reverse("medics:get-update-referral", args=[referral.pk])
    with statements() as of_change:
        changed = client.put(path, {"status": status})
    with statements() as of_reading:
        read = client.get(path)
    assert changed.json()["data"] == read.json()["data"]
    assert changed.json()["data"]["status"] == status
    assert of_change[-1] == of_reading[-1]
