from collections import Counter

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from authentication.models import Session
from authentication.services import end_session, open_session, rotate_session
from authentication.tokens import AccessToken
from tests.at_once import at_once
from tests.statements import statements

pytestmark = pytest.mark.django_db


def refresh(token):
    return APIClient().post(reverse("auth:client-refresh"), {"refresh_token": str(token)})


def assert_refused(answer):
    assert answer.status_code == 400
    assert answer.json().keys() == {"status", "code", "detail"}
    assert answer.json()["code"] == "400"
    assert list(answer.json()["detail"]) == ["refresh_token"]


def test_the_path_is_the_contracts():
    assert reverse("auth:client-refresh") == "/api/refresh"


def test_the_answer_is_a_new_access_token_beside_the_same_refresh_token(ama):
    token = open_session(user=ama)

    answer = refresh(token)

    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "refresh_token"}
    assert answer.json()["refresh_token"] == str(token)
    assert AccessToken(answer.json()["access_token"]).session_id == Session.objects.get().id


def test_the_access_token_is_good(ama, anyone):
    token = refresh(open_session(user=ama)).json()["access_token"]

    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 200


def test_the_same_token_may_be_used_again_and_again(ama):
    token = open_session(user=ama)

    assert [refresh(token).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("token", ["dead", "a.b.c", "é.é.é", "....", "a" * 100_000])
def test_what_is_no_token_is_bad_input(token):
    assert_refused(refresh(token))


def test_a_token_of_an_ended_session_is_bad_input(ama):
    token = open_session(user=ama)
    end_session(refresh=str(token))

    assert_refused(refresh(token))


def test_a_token_that_was_traded_is_bad_input_and_its_session_goes_on(ama):
    token = str(open_session(user=ama))
    traded = rotate_session(refresh=token)

    assert_refused(refresh(token))
    assert refresh(traded).status_code == 200


def test_a_token_of_a_disabled_account_is_bad_input(ama):
    token = open_session(user=ama)
    ama.is_active = False
    ama.save()

    assert_refused(refresh(token))


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": []}]
)
def test_no_token_is_bad_input(anyone, body):
    assert_refused(anyone.post(reverse("auth:client-refresh"), body))


def test_a_dead_access_token_does_not_matter(ama, anyone):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    answer = anyone.post(
        reverse("auth:client-refresh"), {"refresh_token": str(open_session(user=ama))}
    )

    assert answer.status_code == 200


def test_a_refresh_takes_one_statement(ama):
    token = open_session(user=ama)

    with statements() as sent:
        refresh(token)

    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_all_of_ten_at_once_succeed(ama):
    token = open_session(user=ama)

    answers = at_once(refresh, [token] * 10)

    assert Counter(answer.status_code for answer in answers) == {200: 10}
