from datetime import timedelta
from unittest import mock

import jwt
import pytest
from django.conf import settings
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import UntypedToken

from authentication.models import Session
from authentication.services import open_session
from authentication.tokens import RefreshToken
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

KEY = settings.JWT_SIGNING_KEY


def ask(token):
    """What a route that needs a token answers to this one."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client.get(reverse("medics:get-practitioner-referrals"))


def rotate(token):
    return APIClient().post(reverse("auth:token-refresh"), {"refresh": str(token)})


def refresh(token):
    return APIClient().post(reverse("auth:client-refresh"), {"refresh_token": str(token)})


def assert_unauthorised(answer):
    assert answer.status_code == 401
    assert answer.json().keys() == {"status", "code", "detail"}
    assert answer.json()["status"] == "error"
    assert answer.json()["code"] == "401"
    assert isinstance(answer.json()["detail"], str)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def claims(token, **changes):
    """The token's payload with changes; a claim that is None is left out."""
    payload = {**token.payload, **changes}
    return {claim: value for claim, value in payload.items() if value is not None}


def signed(payload, key=KEY, **options):
    return jwt.encode(payload, key, **{"algorithm": "HS256", **options})


@pytest.fixture
def session(ama):
    """The refresh token of an open session of Ama."""
    return open_session(user=ama)


# Who gets in


def test_a_token_of_an_open_session_is_good(session):
    assert ask(session.access_token).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_written_in_any_case(anyone, session, scheme):
    anyone.credentials(HTTP_AUTHORIZATION=f"{scheme} {session.access_token}")

    assert anyone.get(reverse("medics:get-practitioner-referrals")).status_code == 200


def test_no_token_is_refused(anyone):
    assert_unauthorised(anyone.get(reverse("medics:get-practitioner-referrals")))


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Bearer dead", "Bearer é.é.é", "a.b.c"],
)
def test_a_header_without_a_token_is_refused(anyone, header):
    anyone.credentials(HTTP_AUTHORIZATION=header)

    assert_unauthorised(anyone.get(reverse("medics:get-practitioner-referrals")))


def test_a_refresh_token_is_no_access_token(session):
    assert_unauthorised(ask(session))


def test_an_access_token_is_no_refresh_token(session):
    assert_unauthorised(rotate(session.access_token))
    assert refresh(session.access_token).status_code == 400
    assert Session.objects.open().exists()


def test_a_token_of_simplejwts_other_kinds_is_refused(session):
    token = UntypedToken(str(session))
    token["token_type"] = "sliding"

    assert_unauthorised(ask(token))
    assert_unauthorised(rotate(token))


def test_the_user_and_session_are_one_statement(session):
    token = session.access_token

    with statements() as sent:
        assert ask(token).status_code == 200

    assert sum("authentication_" in statement for statement in sent if "session" in statement) == 1


# Sessions that end


def test_an_access_token_is_dead_after_logout(session):
    APIClient().post(reverse("auth:logout"), {"refresh_token": str(session)})

    assert_unauthorised(ask(session.access_token))


def test_a_disabled_account_ends_all_sessions(ama, session):
    other = open_session(user=ama)
    ama.is_active = False
    ama.save()

    for token in (session, other):
        assert_unauthorised(ask(token.access_token))
        assert_unauthorised(rotate(token))
        assert refresh(token).status_code == 400


def test_the_sessions_of_a_disabled_account_stay_ended_when_it_is_enabled_again(ama, session):
    ama.is_active = False
    ama.save()
    ama.is_active = True
    ama.save()

    assert_unauthorised(ask(session.access_token))
    assert_unauthorised(rotate(session))
    assert refresh(session).status_code == 400


def test_a_disabled_account_leaves_those_of_others(ama, yaw):
    token = open_session(user=yaw)
    ama.is_active = False
    ama.save()

    assert ask(token.access_token).status_code == 200


def test_a_token_of_a_session_that_is_gone_is_refused(session):
    Session.objects.all().delete()

    assert_unauthorised(ask(session.access_token))
    assert_unauthorised(rotate(session))
    assert refresh(session).status_code == 400


@pytest.mark.parametrize(
    ("days", "is_open"), [(6.9, True), (7.1, False)], ids=["the seventh day", "the eighth day"]
)
def test_a_session_has_a_last_day_however_often_it_is_renewed(session, days, is_open):
    token = rotate(rotate(session).json()["refresh"]).json()["refresh"]
    access = RefreshToken(token).access_token

    Session.objects.update(created_at=timezone.now() - timedelta(days=days))

    assert ask(access).status_code == (200 if is_open else 401)
    assert refresh(token).status_code == (200 if is_open else 400)
    assert rotate(token).status_code == (200 if is_open else 401)
    call_command("purge_expired")
    assert Session.objects.exists() is is_open


def test_how_many_days_is_a_setting(session, settings):
    settings.SESSION_LIFETIME = timedelta(days=2)
    Session.objects.update(created_at=timezone.now() - timedelta(days=3))

    assert_unauthorised(ask(session.access_token))
    assert_unauthorised(rotate(session))


# Tokens that expire


@pytest.fixture
def later():
    """Moves the clock of the tokens."""

    def later(**passed):
        now = timezone.now() + timedelta(**passed)
        return mock.patch.multiple(
            "rest_framework_simplejwt.tokens", aware_utcnow=lambda: now, autospec=False
        )

    return later


def test_an_expired_access_token_is_refused(session):
    expired = claims(session.access_token, exp=timezone.now() - timedelta(seconds=31))

    assert_unauthorised(ask(signed(expired)))


def test_an_expired_refresh_token_is_refused(session):
    expired = signed(claims(session, exp=timezone.now() - timedelta(seconds=31)))

    assert_unauthorised(rotate(expired))
    assert refresh(expired).status_code == 400


@pytest.mark.parametrize(
    ("claim", "seconds", "is_good"),
    [
        ("iat", 2, True),
        ("nbf", 2, True),
        ("iat", 25, True),
        ("nbf", 25, True),
        ("exp", -25, True),
        ("iat", 40, False),
        ("nbf", 40, False),
        ("exp", -40, False),
    ],
)
def test_clocks_may_differ_by_half_a_minute(session, claim, seconds, is_good):
    at = {claim: timezone.now() + timedelta(seconds=seconds)}
    access, token = (signed(claims(one, **at)) for one in (session.access_token, session))

    assert ask(access).status_code == (200 if is_good else 401)
    assert refresh(token).status_code == (200 if is_good else 400)
    assert rotate(token).status_code == (200 if is_good else 401)


@pytest.mark.parametrize(("minutes", "status"), [(14, 200), (16, 401)])
def test_an_access_token_lives_for_fifteen_minutes(session, later, minutes, status):
    with later(minutes=-minutes):
        token = str(RefreshToken(str(session)).access_token)

    assert ask(token).status_code == status


@pytest.mark.parametrize("claim", ["exp", "jti", "token_type"])
def test_a_token_without_a_claim_is_refused(session, claim):
    assert_unauthorised(ask(signed(claims(session.access_token, **{claim: None}))))
    assert_unauthorised(rotate(signed(claims(session, **{claim: None}))))
    assert refresh(signed(claims(session, **{claim: None}))).status_code == 400


# Tokens that nobody was given


@pytest.mark.parametrize("moment", [1e308, 1e15, -1e15])
def test_a_token_whose_end_is_on_no_calendar_is_refused(session, moment):
    assert_unauthorised(ask(signed(claims(session.access_token, exp=moment))))
    assert_unauthorised(rotate(signed(claims(session, exp=moment))))
    assert refresh(signed(claims(session, exp=moment))).status_code == 400


@pytest.mark.parametrize("sid", [None, "", "none", 7, [], {}, True, "\x00", "é" * 36])
def test_a_token_that_names_no_session_is_refused(session, sid):
    assert_unauthorised(ask(signed(claims(session.access_token, sid=sid))))
    assert_unauthorised(rotate(signed(claims(session, sid=sid))))
    assert refresh(signed(claims(session, sid=sid))).status_code == 400
    answer = APIClient().post(
        reverse("auth:logout"), {"refresh_token": signed(claims(session, sid=sid))}
    )
    assert answer.status_code == 200
    assert Session.objects.open().exists()


def test_a_token_signed_with_another_key_is_refused(session):
    forged = "another key that is long enough for an HMAC with SHA-256"

    assert_unauthorised(ask(signed(claims(session.access_token), forged)))
    assert_unauthorised(rotate(signed(claims(session), forged)))
    assert refresh(signed(claims(session), forged)).status_code == 400


def test_a_forged_token_does_not_log_anybody_out(session):
    forged = signed(claims(session), "another key that is long enough for an HMAC with SHA-256")

    APIClient().post(reverse("auth:logout"), {"refresh_token": forged})

    assert Session.objects.open().exists()


def test_a_token_with_a_changed_payload_is_refused(session, yaw):
    header, _, signature = str(session.access_token).split(".")
    payload = signed(claims(session.access_token, user_id=str(yaw.id))).split(".")[1]

    assert_unauthorised(ask(f"{header}.{payload}.{signature}"))


def test_a_token_without_a_signature_is_refused(session):
    unsigned = jwt.encode(claims(session.access_token), None, algorithm="none")

    assert_unauthorised(ask(unsigned))
    assert_unauthorised(ask(unsigned.rstrip(".") + "."))


def test_a_token_of_another_algorithm_is_refused(session):
    assert_unauthorised(ask(signed(claims(session.access_token), algorithm="HS512")))


@pytest.mark.parametrize("depth", [1_000, 20_000])
@pytest.mark.parametrize("part", [0, 1])
def test_a_token_of_nested_brackets_is_refused(session, depth, part):
    nested = jwt.utils.base64url_encode(b"[" * depth + b"]" * depth).decode()
    parts = str(session.access_token).split(".")
    parts[part] = nested
    token = ".".join(parts)

    assert_unauthorised(ask(token))
    assert_unauthorised(rotate(token))
    assert refresh(token).status_code == 400
    answer = APIClient().post(reverse("auth:logout"), {"refresh_token": token})
    assert answer.status_code == 200


def test_a_nested_claim_of_the_header_is_refused(session):
    _, payload, signature = str(session.access_token).split(".")
    nested = b'{"alg":"HS256","typ":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    header = jwt.utils.base64url_encode(nested).decode()

    assert_unauthorised(ask(f"{header}.{payload}.{signature}"))
