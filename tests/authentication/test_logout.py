from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from authentication.models import Session
from authentication.services import open_session, rotate_session
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

LOGGED_OUT = {"status": "success", "message": "Logged out successfully"}


def log_out(token):
    return APIClient().post(reverse("auth:logout"), {"refresh_token": str(token)})


def test_the_path_is_the_contracts():
    assert reverse("auth:logout") == "/api/auth/logout"


def test_a_logout_ends_the_session(ama):
    token = open_session(user=ama)

    answer = log_out(token)

    assert answer.status_code == 200
    assert answer.json() == LOGGED_OUT
    assert Session.objects.get().ended_at is not None


def test_its_tokens_are_dead_from_then_on(ama, anyone):
    token = open_session(user=ama)
    log_out(token)

    for route, body in {
        "auth:token-refresh": {"refresh": str(token)},
        "auth:client-refresh": {"refresh_token": str(token)},
    }.items():
        assert anyone.post(reverse(route), body).status_code in {400, 401}
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {token.access_token}")
    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 401


def test_other_sessions_go_on(ama, signed_in):
    client = signed_in(ama)

    log_out(open_session(user=ama))

    assert client.get(reverse("medics:get-practitioner-referrals")).status_code == 200


def test_logging_out_twice_is_fine_and_keeps_the_first_time(ama):
    token = open_session(user=ama)
    log_out(token)
    ended_at = Session.objects.get().ended_at

    answer = log_out(token)

    assert answer.status_code == 200
    assert answer.json() == LOGGED_OUT
    assert Session.objects.get().ended_at == ended_at


def test_a_token_that_was_traded_still_ends_its_session(ama):
    token = str(open_session(user=ama))
    rotate_session(refresh=token)

    assert log_out(token).status_code == 200
    assert Session.objects.get().ended_at is not None


@pytest.mark.parametrize("token", ["dead", "a.b.c", "é.é.é", "....", "a" * 100_000])
def test_what_is_no_token_has_nothing_left_to_end(ama, token):
    open_session(user=ama)

    answer = log_out(token)

    assert answer.status_code == 200
    assert answer.json() == LOGGED_OUT
    assert Session.objects.open().count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": {}}]
)
def test_no_token_is_bad_input(anyone, body):
    answer = anyone.post(reverse("auth:logout"), body)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["refresh_token"]


def test_a_dead_access_token_does_not_matter(ama, anyone):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer dead")

    answer = anyone.post(reverse("auth:logout"), {"refresh_token": str(open_session(user=ama))})

    assert answer.status_code == 200


def test_a_logout_takes_one_statement(ama):
    token = open_session(user=ama)

    with statements() as sent:
        log_out(token)

    assert len(sent) == 1


@pytest.mark.parametrize(
    ("claim", "minutes"), [("exp", -24 * 60), ("iat", 1), ("iat", 60), ("nbf", 60)]
)
@pytest.mark.parametrize("kind", ["refresh", "access"])
def test_any_token_that_was_signed_here_ends_its_session(anyone, ama, kind, claim, minutes):
    token = open_session(user=ama)
    token = token if kind == "refresh" else token.access_token
    token[claim] = int((timezone.now() + timedelta(minutes=minutes)).timestamp())

    answer = anyone.post(reverse("auth:logout"), {"refresh_token": str(token)})

    assert answer.status_code == 200
    assert not ama.sessions.open().exists()
