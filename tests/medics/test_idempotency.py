"""The contract's "Repeats": a request that is sent again makes no second referral."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from authentication.services import open_session
from medics.idempotency.stored_answer import BODY_LIFETIME, KEY_LIFETIME, idempotent
from medics.models import IdempotentRequest, Patient, Referral, ReferralTest
from tests.factories import TestFactory
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

URL = reverse("medics:create-referral")


@pytest.fixture
def client(ama, signed_in):
    return signed_in(ama)


@pytest.fixture
def body(branch, blood_count):
    return {
        "patient_full_name_or_id": "Akosua Mensah",
        "patient_contact_number": "024 412 3456",
        "tests": [blood_count.id],
        "branch_id": branch.id,
        "clinical_notes": "Fever for three days.",
    }


def post(client, body, key=None):
    return client.post(URL, body, headers={"Idempotency-Key": key} if key is not None else {})


def let_pass(duration):
    """As if all was asked so much earlier."""
    for request in IdempotentRequest.objects.all():
        request.expires_at -= duration
        request.save()


# With a key


def test_the_same_key_gets_the_first_answer_byte_for_byte(client, body):
    first = post(client, body, "once")
    second = post(client, body, "once")

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Referral.objects.count() == ReferralTest.objects.count() == 1


def test_also_when_the_referral_has_changed_since(client, body):
    first = post(client, body, "once")
    let_pass(BODY_LIFETIME)
    Referral.objects.update(status="Received")
    Patient.objects.update(full_name_or_id="Akosua Addo")

    assert post(client, body, "once").content == first.content


def test_with_another_body_it_is_refused_and_loses_nothing(client, body):
    post(client, body, "once")
    answer = post(client, body | {"clinical_notes": "None."}, "once")

    assert answer.status_code == 400
    assert answer.json()["detail"] == {
        "Idempotency-Key": ["This key was used with another request before."]
    }
    assert Referral.objects.count() == 1
    assert post(client, body | {"clinical_notes": "None."}, "twice").status_code == 201
    assert Referral.objects.count() == 2


def test_a_day_later_it_is_a_new_request(client, body):
    first = post(client, body, "once")
    let_pass(KEY_LIFETIME - timedelta(minutes=1))
    assert post(client, body, "once")["Idempotent-Replayed"] == "true"
    let_pass(timedelta(minutes=2) + BODY_LIFETIME)
    later = post(client, body, "once")

    assert later.status_code == 201
    assert "Idempotent-Replayed" not in later
    assert later.json()["data"]["referral_id"] != first.json()["data"]["referral_id"]
    assert post(client, body, "once").content == later.content


def test_it_is_the_users_own(client, body, yaw, signed_in):
    first = post(client, body, "once")
    other = post(signed_in(yaw), body, "once")

    assert other.status_code == 201
    assert "Idempotent-Replayed" not in other
    assert other.json()["data"]["referral_id"] != first.json()["data"]["referral_id"]


def test_a_refused_request_does_not_use_it_up(client, body):
    assert post(client, body | {"tests": [10**9]}, "once").status_code == 400
    assert not IdempotentRequest.objects.exists()
    assert post(client, body, "once").status_code == 201


def test_a_view_that_stores_no_answer_is_an_error_and_claims_nothing(ama):
    request = SimpleNamespace(user=ama, headers={"Idempotency-Key": "once"})

    with pytest.raises(RuntimeError), idempotent(request, digest="d"):
        pass
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize("key", ["a", "k" * 255, "8e03978e-40d5-43dd-bc93-6894a57f9324", "a b~!"])
def test_printable_keys_are_taken(client, body, key):
    assert post(client, body, key).status_code == 201
    assert post(client, body, key)["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "k" * 256, "é", "a\x00b", "a\tb"])
def test_others_are_refused_under_their_name(client, body, key):
    answer = post(client, body, key)

    assert answer.status_code == 400
    assert answer.json()["detail"] == {
        "Idempotency-Key": ["It takes 1 to 255 printable characters."]
    }
    assert not Referral.objects.exists()


# Without a key


def test_an_equal_body_within_two_minutes_is_answered_with_the_first_referral(client, body):
    first = post(client, body)
    second = post(client, body)

    assert second.status_code == 201
    assert first.content == second.content
    assert Referral.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"patient_full_name_or_id": "  akosua   MENSAH "},
        {"patient_contact_number": "+233 24 412 3456"},
        {"clinical_notes": " Fever for three days.\n"},
    ],
)
def test_equal_means_that_it_says_the_same(client, body, change):
    assert post(client, body).content == post(client, body | change).content
    assert Referral.objects.count() == 1


def test_the_order_of_tests_does_not_matter_nor_one_named_twice(client, body, sickling):
    one, other = body["tests"][0], sickling.id
    first = post(client, body | {"tests": [one, other]})
    assert post(client, body | {"tests": [other, one, one]}).content == first.content


@pytest.mark.parametrize(
    "change",
    [
        {"patient_full_name_or_id": "Akosua Mensa"},
        {"patient_contact_number": ""},
        {"clinical_notes": ""},
    ],
)
def test_another_body_is_another_referral(client, body, change):
    post(client, body)
    assert post(client, body | change).status_code == 201
    assert Referral.objects.count() == 2


def test_so_are_other_tests(client, body, haematology):
    post(client, body)
    assert (
        post(client, body | {"tests": [TestFactory(test_type=haematology).id]}).status_code == 201
    )
    assert Referral.objects.count() == 2


def test_two_minutes_later_it_is_a_new_referral(client, body):
    post(client, body)
    let_pass(BODY_LIFETIME)
    assert post(client, body).status_code == 201
    assert Referral.objects.count() == 2


def test_another_practitioners_equal_body_is_a_referral_of_its_own(client, body, yaw, signed_in):
    post(client, body)
    assert post(signed_in(yaw), body).status_code == 201
    assert Referral.objects.count() == 2


def test_a_key_does_not_get_around_it_and_gets_the_same_answer_from_then_on(client, body):
    first = post(client, body)
    keyed = post(client, body, "once")
    let_pass(BODY_LIFETIME)

    assert first.content == keyed.content == post(client, body, "once").content
    assert "Idempotent-Replayed" not in keyed
    assert Referral.objects.count() == 1


# At once


@pytest.mark.django_db(transaction=True)
def test_fifty_equal_requests_at_once_make_one_referral(ama, body):
    def send(key):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return post(client, body, key)

    for key in (None, "once"):
        token = open_session(user=ama).access_token
        let_pass(KEY_LIFETIME)
        before = Referral.objects.count()
        answers = at_once(send, [key] * 50)

        assert [answer.status_code for answer in answers] == [201] * 50
        assert len({answer.content for answer in answers}) == 1
        assert Referral.objects.count() == before + 1
        assert ReferralTest.objects.count() == before + 1
        replayed = [answer for answer in answers if "Idempotent-Replayed" in answer]
        assert len(replayed) == (49 if key else 0)


@pytest.mark.django_db(transaction=True)
def test_one_key_with_two_bodies_at_once_is_one_referral_and_refusals(ama, body):
    def send(notes):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return post(client, body | {"clinical_notes": notes}, "once").status_code

    token = open_session(user=ama).access_token
    statuses = at_once(send, ["Fever.", "Cough."] * 5)

    assert sorted(statuses) == [201] * 5 + [400] * 5
    assert Referral.objects.count() == 1


# What it costs, and what is kept


def test_a_referral_costs_ten_statements_and_a_repeat_three(client, body):
    with statements() as first:
        post(client, body, "once")
    with statements() as again:
        post(client, body, "once")

    assert len(first) == 10
    assert len(again) == 3


def test_every_kept_row_has_its_referral_and_its_end(client, body):
    post(client, body, "once")

    of_body, of_key = IdempotentRequest.objects.order_by("token")
    assert of_body.referral == of_key.referral == Referral.objects.get()
    now = timezone.now()
    assert abs(of_body.expires_at - now - BODY_LIFETIME) < timedelta(seconds=30)
    assert abs(of_key.expires_at - now - KEY_LIFETIME) < timedelta(seconds=30)


def test_what_has_expired_is_purged_and_nothing_else(client, body, ama, capsys):
    post(client, body, "once")
    let_pass(BODY_LIFETIME)
    ended = open_session(user=ama)
    ama.sessions.filter(refresh_jti=ended.jti).update(expires_at=timezone.now())

    call_command("purge_expired")

    assert [request.token for request in IdempotentRequest.objects.all()] == ["key:once"]
    assert capsys.readouterr().out.splitlines() == [
        *("1 sessions", "0 attempts", "0 known addresses", "1 referral requests")
    ]
    assert Referral.objects.count() == 1
    assert post(client, body, "once")["Idempotent-Replayed"] == "true"
