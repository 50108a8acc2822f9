"""What patients, people and their clients entrust to the service never stands in its log."""

import itertools
import json
import re
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from django.urls import reverse

from authentication.models import User
from authentication.services import open_session
from medics.services.referrals import create_referral
from tests.factories import PractitionerFactory
from tests.support.access_rules import RULES, filled
from tests.support.api_client import RawClient
from tests.support.service import serving

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Zebra-Passw0rd!"
NUMBER = "0244987654"
PATIENT = "Zanetor Quaynor-Zwennes"
CONTACT = "0277123987"
NOTES = "Zoster, and known to be HIV positive"
SEARCH = "zwennes"
SECRETS = [PASSWORD, NUMBER.lstrip("0"), "Zanetor", CONTACT.lstrip("0"), "Zoster", "HIV", SEARCH]

# As much as a body can hold, whatever the route asks for.
EVERYTHING = {
    "full_name": PATIENT,
    "phone_number": NUMBER,
    "password": PASSWORD,
    "current_password": PASSWORD,
    "new_password": f"{PASSWORD}2",
    "confirm_new_password": f"{PASSWORD}2",
    "refresh": "ey.Zebra-token",
    "patient_full_name_or_id": PATIENT,
    "patient_contact_number": CONTACT,
    "clinical_notes": NOTES,
    "status": PATIENT,
    "name": PATIENT,
}
QUERY = urlencode({"search_query": SEARCH, "cursor": SEARCH, "page_number": SEARCH})


@pytest.fixture
def network(ama, yaw, efua, kofi, branch, haematology, blood_count):
    """A referral of such a patient, and a token of each role."""
    referral = create_referral(
        practitioner=ama,
        branch_id=branch.id,
        test_ids=[blood_count.id],
        patient_full_name_or_id=PATIENT,
        patient_contact_number=CONTACT,
        clinical_notes=NOTES,
    )
    User.objects.filter(pk=ama.pk).update(phone_number="+233244987654")
    ids = {
        "facility": branch.facility_id,
        "branch": branch.id,
        "test_type": haematology.id,
        "test": blood_count.id,
        "referral": referral.id,
        "referral_test": referral.tests.first().id,
    }
    tokens = [str(open_session(user=user).access_token) for user in (ama, yaw, kofi, efua)]
    return ids, [*tokens, f"{tokens[0]}x", ""]


def send_everything_everywhere(address, ids, tokens):
    """Each route by each role with a good body and bad ones; the statuses that came."""
    everything = json.dumps(EVERYTHING)
    statuses = []
    with RawClient(address) as send:
        for rule, token in itertools.product(RULES, tokens):
            path = reverse(rule.route, kwargs=filled(rule.path, ids))
            good = {**EVERYTHING, **filled(rule.body or {}, ids)}
            good |= {key: EVERYTHING[key] for key in EVERYTHING if key != "status"}
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": PATIENT}
            for url in (path, f"{path}?{QUERY}", f"{path}?search_query={SEARCH}"):
                statuses.append(send(rule.method.upper(), url, json.dumps(good), **headers))
            statuses.append(send(rule.method.upper(), path, everything, **headers))
            statuses.append(send(rule.method.upper(), path, everything[:-1], **headers))
            statuses.append(send("PATCH", f"{path}?{QUERY}", everything, **headers))
    return statuses


def use_the_admin_site(address):
    operator = PractitionerFactory(is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(operator)
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    credentials = urlencode({"username": NUMBER, "password": PASSWORD})
    with RawClient(address) as send:
        statuses = [send("POST", "/admin/login/", credentials, **form)]
        for model in ("referral", "patient", "referraltest"):
            statuses.append(send("GET", f"/admin/medics/{model}/?q={SEARCH}", **cookie))
            statuses.append(send("GET", f"/admin/medics/{model}/?{QUERY}", **cookie))
        statuses.append(send("GET", f"/admin/authentication/user/?q={quote(NUMBER)}", **cookie))
    return statuses


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LOG_FORMAT": "text"}, {200, 201, 400, 401, 403}),
        # Every other statement fails, in the midst of whatever it is.
        ({"LOG_FORMAT": "json", "DB_STATEMENT_TIMEOUT_MS": "1"}, {200, 503}),
    ],
)
def test_no_route_and_no_error_puts_it_into_the_log(network, tmp_path, variables, expected):
    ids, tokens = network
    log = tmp_path / "log"
    loudest = {
        "LOG_LEVEL": "DEBUG",
        "DJANGO_LOG_LEVEL": "DEBUG",
        "DB_LOG_LEVEL": "DEBUG",
        "GUNICORN_LOG_LEVEL": "debug",
        "SLOW_REQUEST_MS": "0",
        "REQUEST_DEADLINE_SECONDS": "0.01",
    }
    with log.open("wb") as output, serving(output, **loudest, **variables) as address:
        statuses = send_everything_everywhere(address, ids, tokens)
        assert expected <= set(statuses)
        assert 500 not in statuses
        statuses += use_the_admin_site(address)

    text = log.read_text()
    # That it was loud enough for the rest to mean something.
    assert len(re.findall("gunicorn.access", text)) >= len(statuses) - statuses.count(None)
    assert "tetradx.sql" in text
    assert "slow request: GET /api/medics/referrals/practitioner took" in text
    held = [*SECRETS, *(token for token in tokens if token), "Zebra-token"]
    found = [secret for secret in held if secret.lower() in text.lower()]
    assert found == []
