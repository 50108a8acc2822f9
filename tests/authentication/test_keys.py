"""What people notice when a key of the service is replaced."""

import pytest
from django.urls import reverse

from tests.factories import PASSWORD, PractitionerFactory, ReferralFactory
from tests.support.api_client import Caller
from tests.support.service import serving

NEW_KEY = "n" * 50


@pytest.mark.django_db(transaction=True)
def test_with_another_signing_key_everybody_has_to_log_in_again():
    ama = PractitionerFactory(phone_number="0244123456")
    login = {"phone_number": ama.phone_number, "password": PASSWORD}
    with serving(JWT_SIGNING_KEY="j" * 50) as address:
        caller = Caller(*address)
        status, answer = caller("POST", "/api/auth/login", login)
        assert status == 200
        refresh = answer["data"]["refresh_token"]
        token = answer["data"]["access_token"]

    with serving(JWT_SIGNING_KEY=NEW_KEY) as address:
        caller = Caller(*address)
        caller.token = token
        assert caller("GET", "/api/medics/referrals/practitioner")[0] == 401
        assert caller("POST", "/api/auth/token/refresh", {"refresh": refresh})[0] == 401
        assert caller("POST", "/api/refresh", {"refresh_token": refresh})[0] == 400
        caller.log_in(ama.phone_number, PASSWORD)
        assert caller("GET", "/api/medics/referrals/practitioner")[0] == 200


@pytest.mark.django_db
def test_an_operator_stays_logged_in_while_the_earlier_key_is_believed(client, settings):
    operator = PractitionerFactory(is_staff=True)
    client.force_login(operator)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = NEW_KEY
    assert client.get("/admin/").status_code == 200

    settings.SECRET_KEY_FALLBACKS = []
    settings.SECRET_KEY = "a" * 50
    assert client.get("/admin/").status_code == 302


@pytest.mark.django_db
def test_a_walk_through_a_list_goes_on_while_the_earlier_key_is_believed(
    signed_in, ama, branch, settings
):
    for _ in range(2):
        ReferralFactory(referred_by=ama, facility_branch=branch)
    client, path = signed_in(ama), reverse("medics:get-practitioner-referrals")
    first = client.get(path, {"page_size": 1}).json()["data"]
    cursor = first["pagination"]["next_cursor"]

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = NEW_KEY
    second = client.get(path, {"page_size": 1, "cursor": cursor})
    assert second.status_code == 200
    assert second.json()["data"]["referrals"] != first["referrals"]

    settings.SECRET_KEY_FALLBACKS = []
    assert client.get(path, {"page_size": 1, "cursor": cursor}).status_code == 400
