from collections import Counter
from datetime import timedelta

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from authentication.models import Session
from authentication.services import end_session, open_session, rotate_session
from authentication.tokens import AccessToken, RefreshToken
from tests.support.concurrency import at_once
from tests.support.statements import statements

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


def test_a_token_that_was_traded_is_bad_input_and_ends_its_session(ama, anyone):
    token = str(open_session(user=ama))
    thief = rotate_session(refresh=token)
    other = open_session(user=ama)

    assert_refused(refresh(token))

    assert_refused(refresh(thief))
    assert anyone.post(reverse("auth:token-refresh"), {"refresh": str(thief)}).status_code == 401
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {thief.access_token}")
    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 401
    assert refresh(other).status_code == 200


def test_a_traded_token_ends_its_session_though_it_has_expired(ama):
    token = open_session(user=ama)
    thief = rotate_session(refresh=str(token))
    token.set_exp(lifetime=timedelta(hours=-1))

    assert_refused(refresh(token))

    assert_refused(refresh(thief))


def test_a_token_that_has_expired_and_was_not_traded_ends_nothing(ama):
    token = open_session(user=ama)
    expired = RefreshToken(str(token))
    expired.set_exp(lifetime=timedelta(hours=-1))

    assert_refused(refresh(expired))
    assert_refused(refresh(token.access_token))

    assert refresh(token).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_a_trade_and_nine_uses_at_once_none_is_good_after_the_trade(ama):
    token = str(open_session(user=ama))

    def use(route):
        body = {"refresh": token, "refresh_token": token}
        return route, APIClient().post(reverse(route), body).status_code

    answers = Counter(at_once(use, ["auth:token-refresh", *["auth:client-refresh"] * 9]))

    assert answers[("auth:token-refresh", 200)] == 1
    uses_after = answers[("auth:client-refresh", 400)]
    assert answers[("auth:client-refresh", 200)] + uses_after == 9
    assert Session.objects.open().exists() is (uses_after == 0)


def test_the_public_clients_day(ama):
    """It keeps its first refresh token, and asks for several access tokens with it at once."""
    token = str(open_session(user=ama))
    for _ in range(3):
        answer = refresh(token)
        assert answer.json()["refresh_token"] == token
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access_token']}")
        assert client.get(reverse("medics:get-practitioner-referrals")).status_code == 200
    assert client.post(reverse("auth:logout"), {"refresh_token": token}).status_code == 200
    assert_refused(refresh(token))


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
