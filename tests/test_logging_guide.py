"""Every command of LOGGING_GUIDE.md finds what it says, run as it is written."""

import re
import subprocess

import pytest
from django.conf import settings
from django.db import connection

from authentication.services import open_session
from tests.factories import ReferralFactory
from tests.support.api_client import RawClient
from tests.support.service import serving

COMMANDS = re.findall(
    r"^    (docker (?:logs|exec) .*)$",
    (settings.BASE_DIR / "LOGGING_GUIDE.md").read_text(),
    flags=re.M,
)
# In the guide they stand for whatever id the operator has.
USER_ID = "6d48d9ba-2d5f-4c51-8349-a5a107278512"
REQUEST_ID = "b25afaf88419437abb35f2f9b2bd5c33"
REFERRAL_ID = "K3J9X2M7QP"


@pytest.fixture
def log(ama, tmp_path):
    """What a day with every sort of trouble wrote."""
    type(ama).objects.filter(pk=ama.pk).delete()
    type(ama).objects.create(
        id=USER_ID, full_name="Ama Serwaa", phone_number="+233244123456", user_type=ama.user_type
    )
    ReferralFactory(id=REFERRAL_ID, referred_by_id=USER_ID)
    token = open_session(user=type(ama).objects.get(pk=USER_ID)).access_token
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": REQUEST_ID}
    path = tmp_path / "log"
    (tmp_path / "access").mkdir()
    kept = {"PATIENT_ACCESS_LOG": str(tmp_path / "access" / "patient-access.log")}
    with path.open("wb") as output:
        with serving(output, SLOW_REQUEST_MS="0", **kept) as address, RawClient(address) as send:
            assert send("GET", "/api/medics/referrals/practitioner", **headers) == 200
        troubled = {
            "DJANGO_SETTINGS_MODULE": "tests.hanging.settings",
            "REQUEST_DEADLINE_SECONDS": "0.2",
            "SLOW_REQUEST_MS": "100000",
            "DB_STATEMENT_TIMEOUT_MS": "500",
        }
        with serving(output, MANY_QUERIES="1", **troubled) as address, RawClient(address) as send:
            assert send("GET", "/many-queries") == 200
            assert send("GET", "/database-in-the-api") == 503
    return path


@pytest.mark.django_db(transaction=True)
def test_each_command_finds_something(log):
    connection.close()
    assert len(COMMANDS) == 13
    for command in COMMANDS:
        tried = command.replace("docker logs tetraDX-backend 2>&1", f"cat {log}")
        tried = tried.removeprefix("docker exec tetraDX-backend ")
        tried = tried.replace("/var/log/tetradx", str(log.parent / "access"))
        found = subprocess.run(["bash", "-c", tried], capture_output=True, text=True)
        assert found.stdout.strip(), f"{command}\n{found.stderr}\n{log.read_text()}"
        assert not found.stderr
