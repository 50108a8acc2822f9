"""Who read which patient's data: the lines of `tetradx.access`."""

import json
import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.urls import reverse

from authentication.services import open_session
from medics.models import Referral
from tests.factories import ReferralFactory
from tests.support.api_client import RawClient
from tests.support.database import database_url
from tests.support.service import serving
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

BODY = {
    "patient_full_name_or_id": "Akosua Mensah",
    "patient_contact_number": "0208123456",
    "clinical_notes": "Fever for three days.",
}


@pytest.fixture
def body(branch, blood_count):
    return BODY | {"branch_id": branch.id, "tests": [blood_count.id]}


def test_a_line_says_who_what_where_and_when(signed_in, kofi, referral, access_log):
    signed_in(kofi).get(
        reverse("medics:get-update-referral", args=[referral.id]),
        headers={"X-Request-ID": "kofi-1"},
    )

    [line] = access_log()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert re.fullmatch("kofi-1/[0-9a-f]{32}", line.pop("request_id"))
    assert line == {
        "level": "INFO",
        "logger": "tetradx.access",
        "message": "read",
        "user_id": str(kofi.pk),
        "route": "medics:get-update-referral",
        "referrals": [referral.id],
        "patients": [],
    }


def test_a_list_names_the_referrals_of_its_page(signed_in, ama, kofi, referral, access_log):
    others = ReferralFactory.create_batch(
        2, referred_by=ama, facility_branch=referral.facility_branch
    )
    newest_first = [*(other.id for other in reversed(others)), referral.id]

    signed_in(ama).get(reverse("medics:get-practitioner-referrals"), {"page_size": 2})
    signed_in(kofi).get(reverse("medics:get-technician-referrals"), {"search_query": "akosua"})

    assert [(line["route"], line["user_id"], line["referrals"]) for line in access_log()] == [
        ("medics:get-practitioner-referrals", str(ama.pk), newest_first[:2]),
        ("medics:get-technician-referrals", str(kofi.pk), [referral.id]),
    ]


def test_what_a_change_is_answered_with_is_read(signed_in, ama, kofi, referral, body, access_log):
    test = referral.tests.first()
    client = signed_in(ama)
    client.post(reverse("medics:create-referral"), body)
    client.post(reverse("medics:create-referral"), body)
    signed_in(kofi).put(
        reverse("medics:get-update-referral", args=[referral.id]), {"status": "Received"}
    )
    signed_in(kofi).put(
        reverse("medics:update-test-status", args=[test.id]), {"status": "Received"}
    )

    made = Referral.objects.exclude(pk=referral.pk).get()
    assert [(line["route"], line["referrals"]) for line in access_log()] == [
        ("medics:create-referral", [made.id]),
        ("medics:create-referral", [made.id]),
        ("medics:get-update-referral", [referral.id]),
        ("medics:update-test-status", [referral.id]),
    ]


def test_who_was_shown_nothing_has_no_line(signed_in, anyone, ama, yaw, kofi, referral, access_log):
    one = reverse("medics:get-update-referral", args=[referral.id])
    test = reverse("medics:update-test-status", args=[referral.tests.first().id])
    signed_in(yaw).get(one)
    signed_in(yaw).put(one, {"status": "Received"})
    signed_in(yaw).put(test, {"status": "Received"})
    signed_in(yaw).get(reverse("medics:get-practitioner-referrals"))
    signed_in(kofi).get(reverse("medics:get-technician-referrals"), {"search_query": "nobody"})
    signed_in(kofi).put(one, {"status": "Completed"})
    signed_in(ama).post(reverse("medics:create-referral"), BODY)
    anyone.get(one)
    anyone.get(reverse("medics:get-facilities"))

    assert access_log() == []


def test_no_line_holds_a_patient_s_data(signed_in, ama, body, access_log):
    client = signed_in(ama)
    client.post(reverse("medics:create-referral"), body)
    client.get(reverse("medics:get-practitioner-referrals"), {"search_query": "akosua"})

    lines = json.dumps(access_log())
    assert len(access_log()) == 2
    for secret in ("Akosua", "akosua", "0208123456", "Fever"):
        assert secret not in lines


def test_a_line_costs_no_statement(signed_in, kofi, referral, access_log):
    client = signed_in(kofi)
    client.get(reverse("medics:get-technician-referrals"))
    with statements() as sent:
        client.get(reverse("medics:get-technician-referrals"))
    assert len(access_log()) == 2
    # the user with the session, the totals, the page with its tests
    assert len(sent) == 3


# Where the lines go


@pytest.mark.django_db(transaction=True)
def test_a_file_has_them_apart_from_the_other_logs(ama, referral, tmp_path):
    token = open_session(user=ama).access_token
    file = tmp_path / "patient-access.log"
    with (
        (tmp_path / "log").open("wb") as output,
        serving(output, PATIENT_ACCESS_LOG=str(file), LOG_LEVEL="ERROR") as address,
        RawClient(address) as send,
    ):
        path = reverse("medics:get-practitioner-referrals")
        assert send("GET", path, Authorization=f"Bearer {token}") == 200
        # As logrotate does it.
        file.rename(tmp_path / "patient-access.log.1")
        assert send("GET", path, Authorization=f"Bearer {token}") == 200

    for written in (file, tmp_path / "patient-access.log.1"):
        assert json.loads(written.read_text())["referrals"] == [referral.id]
    assert "tetradx.access" not in (tmp_path / "log").read_text()


def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path):
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env={
            "ENVIRONMENT": "test",
            "DATABASE_URL": database_url(),
            "PATIENT_ACCESS_LOG": str(tmp_path / "missing" / "log"),
        },
        capture_output=True,
        text=True,
    )
    assert started.returncode != 0
    assert "patient_access" in started.stderr
