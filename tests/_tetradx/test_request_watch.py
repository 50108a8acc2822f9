"""A request that hangs is explained while it hangs."""

import http.client
import re
import threading
import time

import pytest
from django.db import connection, transaction

from tests.factories import FacilityFactory
from tests.served import serving

pytestmark = pytest.mark.django_db(transaction=True)

HANGING = {
    "DJANGO_SETTINGS_MODULE": "tests.hanging.settings",
    "REQUEST_DEADLINE_SECONDS": "0.4",
}


def get(address, path):
    client = http.client.HTTPConnection(*address, timeout=30)
    try:
        client.request("GET", path, headers={"X-Request-ID": f"ama{path.replace('/', '-')}"})
        return client.getresponse().status
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    finally:
        client.close()


def errors(log) -> list[str]:
    """Of the log's entries the errors, each with the lines that follow it."""
    entries = re.split(r"^(?=\d{4}-\d\d-\d\dT)", log.read_text(), flags=re.M)
    return [entry for entry in entries if " ERROR tetradx.requests " in entry]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("path", "waits_for", "in_stack"),
    [
        ("/database", "SELECT pg_sleep(%s)", "in sleep_in_the_database"),
        ("/python", "no", "in compute_for_ever"),
    ],
)
def test_one_error_names_it(log, path, waits_for, in_stack):
    with log.open("wb") as output, serving(output, **HANGING) as address:
        assert get(address, path) == 200
        assert get(address, "/nothing") == 200

    [error] = errors(log)
    assert f"request_id=ama-{path[1:]} timeout: GET {path} is still not answered after" in error
    assert f"user_id=-; waits for the database: {waits_for}; stack:" in error
    assert in_stack in error


def test_one_that_waits_for_anothers_lock_says_so(log):
    FacilityFactory()
    with log.open("wb") as output, serving(output, **HANGING) as address:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM medics_facility FOR UPDATE")
            request = threading.Thread(target=get, args=[address, "/lock"])
            request.start()
            give_up = time.monotonic() + 20
            while not errors(log) and time.monotonic() < give_up:
                time.sleep(0.05)
        request.join()

    [error] = errors(log)
    assert "waits for the database: SELECT id FROM medics_facility FOR UPDATE;" in error


def test_a_worker_that_gunicorn_aborts_says_what_it_had_in_hand(log):
    aborted = {
        **HANGING,
        "REQUEST_DEADLINE_SECONDS": "60",
        "GUNICORN_WORKER_CLASS": "sync",
        "GUNICORN_WORKERS": "1",
        "GUNICORN_THREADS": "1",
        "GUNICORN_TIMEOUT_S": "1",
        "HANG_SECONDS": "20",
    }
    with log.open("wb") as output, serving(output, **aborted) as address:
        assert get(address, "/python") in {None, 500}
        assert get(address, "/nothing") == 200

    [error] = errors(log)
    assert "timeout: GET /python was cut off with its worker, which gunicorn aborted" in error
    assert "in compute_for_ever" in error
