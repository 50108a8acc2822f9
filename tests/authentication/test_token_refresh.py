from collections import Counter

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from authentication.models import Session
from authentication.services import open_session, rotate_session
from authentication.tokens import AccessToken, RefreshToken
from tests.support.concurrency import at_once, while_open
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


def refresh(token):
    return APIClient().post(reverse("auth:token-refresh"), {"refresh": str(token)})


def test_the_path_is_the_contracts():
    assert reverse("auth:token-refresh") == "/api/auth/token/refresh"


def test_a_refresh_token_is_traded_for_new_tokens_without_an_envelope(ama):
    token = open_session(user=ama)

    answer = refresh(token)

    session = Session.objects.get()
    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh"}
    assert answer.json()["refresh"] != str(token)
    assert AccessToken(answer.json()["access"]).session_id == session.id
    assert RefreshToken(answer.json()["refresh"]).jti == session.refresh_jti


def test_the_new_tokens_are_good(ama, anyone):
    tokens = refresh(open_session(user=ama)).json()

    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 200
    assert refresh(tokens["refresh"]).status_code == 200


def test_a_second_use_ends_the_session(ama, anyone):
    token = open_session(user=ama)
    tokens = refresh(token).json()

    answer = refresh(token)

    assert answer.status_code == 401
    assert answer.json().keys() == {"status", "code", "detail"}
    assert answer.json()["code"] == "401"
    assert Session.objects.get().ended_at is not None
    assert refresh(tokens["refresh"]).status_code == 401
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 401


def test_a_second_use_leaves_the_users_other_sessions(ama):
    other = open_session(user=ama)
    token = open_session(user=ama)
    refresh(token)

    refresh(token)

    assert refresh(other).status_code == 200


@pytest.mark.parametrize("token", ["dead", "a.b.c", "é.é.é", "....", "a" * 100_000])
def test_what_is_no_token_is_refused(db, token):
    answer = refresh(token)

    assert answer.status_code == 401
    assert answer.json() == {"status": "error", "code": "401", "detail": "Token is invalid"}
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("body", [{}, {"refresh": ""}, {"refresh": None}, {"refresh": []}])
def test_no_token_is_bad_input(body):
    answer = APIClient().post(reverse("auth:token-refresh"), body)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["refresh"]


def test_a_dead_access_token_does_not_matter(ama, anyone):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    answer = anyone.post(reverse("auth:token-refresh"), {"refresh": str(open_session(user=ama))})

    assert answer.status_code == 200


def test_a_refresh_takes_one_statement(ama):
    token = open_session(user=ama)

    with statements() as sent:
        refresh(token)

    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_a_token_that_is_just_being_traded_is_dead(ama):
    token = str(open_session(user=ama))

    answer = while_open(lambda: rotate_session(refresh=token), lambda: refresh(token))

    assert answer.status_code == 401
    assert Session.objects.get().ended_at is not None


@pytest.mark.django_db(transaction=True)
def test_of_ten_at_once_with_one_token_one_succeeds(ama):
    token = open_session(user=ama)

    answers = at_once(refresh, [token] * 10)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 9}
    assert Session.objects.get().ended_at is not None
