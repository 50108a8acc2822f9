"""A request that hangs is explained while it hangs."""

import http.client
import re
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from _tetradx.db.connections import waiting
from _tetradx.observability import request_watch
from _tetradx.observability.request_record import RequestRecord
from tests.factories import FacilityFactory
from tests.support.service import serving
from tests.support.throwaway_postgres import throwaway_server

pytestmark = pytest.mark.django_db(transaction=True)

HANGING = {
    "DJANGO_SETTINGS_MODULE": "tests.hanging.settings",
    "REQUEST_DEADLINE_SECONDS": "0.4",
    "GUNICORN_WORKERS": "1",
}

SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"


def get(address, path):
    client = http.client.HTTPConnection(*address, timeout=30)
    try:
        client.request("GET", path, headers={"X-Request-ID": f"ama{path.replace('/', '-')}"})
        return client.getresponse().status
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    finally:
        client.close()


def errors(log, path) -> list[str]:
    """Of the log's entries the errors about that path, each with the lines that follow it."""
    entries = re.split(r"^(?=\d{4}-\d\d-\d\dT)", log.read_text(), flags=re.M)
    return [
        entry
        for entry in entries
        if " ERROR tetradx.requests " in entry and f" GET {path} " in entry
    ]


@contextmanager
def hanging(output, **variables):
    """A server whose worker has loaded its routes, which may take as long as the deadline."""
    with serving(output, **{**HANGING, **variables}) as address:
        assert get(address, "/nothing") == 200
        yield address


def wait_until(happened, seconds=20):
    give_up = time.monotonic() + seconds
    while not happened() and time.monotonic() < give_up:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("path", "waits_for", "in_stack"),
    [
        ("/database", "SELECT pg_sleep(%s)", "in sleep_in_the_database"),
        ("/python", "no", "in compute_for_ever"),
    ],
)
def test_one_error_names_it(log, path, waits_for, in_stack):
    with log.open("wb") as output, hanging(output) as address:
        assert get(address, path) == 200
        assert get(address, "/nothing") == 200

    [error] = errors(log, path)
    assert re.search(
        f"request_id=ama-{path[1:]}/[0-9a-f]{{32}} timeout: GET {path} is still", error
    )
    assert f"user_id=-; waits for the database: {waits_for}; stack:" in error
    assert in_stack in error


def test_one_that_waits_for_anothers_lock_says_so(log):
    FacilityFactory()
    with log.open("wb") as output, hanging(output) as address:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM medics_facility FOR UPDATE")
            request = threading.Thread(target=get, args=[address, "/lock"])
            request.start()
            wait_until(lambda: errors(log, "/lock"))
        request.join()

    [error] = errors(log, "/lock")
    assert "waits for the database: SELECT id FROM medics_facility FOR UPDATE;" in error


def test_a_frozen_database_is_given_up_and_its_threads_are_free_again(log):
    frozen = {
        "REQUEST_DEADLINE_SECONDS": "20",
        "UNANSWERED_SECONDS": "1",
        "DB_CONNECT_TIMEOUT_S": "1",
        "GUNICORN_THREADS": "2",
        "HANG_SECONDS": "20",
    }
    statuses = []

    def ask(address):
        statuses.append(get(address, "/database-in-the-api"))

    with (
        log.open("wb") as output,
        throwaway_server() as server,
        hanging(output, DATABASE_URL=server.url, **frozen) as address,
    ):
        request = threading.Thread(target=ask, args=[address])
        request.start()
        wait_until(lambda: server.query(SLEEPING) == [(1,)])
        with server.frozen():
            request.join()
            # That was over a kept connection, and this is over none.
            ask(address)
        wait_until(lambda: get(address, "/one-row") == 200)
        ask_for_one_row = get(address, "/one-row")

    assert ask_for_one_row == 200
    assert statuses == [503, 503]
    [error] = errors(log, "/database-in-the-api")
    assert "timeout: GET /database-in-the-api is still not answered after" in error
    assert "waits for the database: SELECT pg_sleep(%s); stack:" in error
    [given_up] = re.findall(r"tetradx.database (.*) It has answered nothing for", log.read_text())
    assert re.fullmatch("request_id=ama-database-in-the-api/[0-9a-f]{32}", given_up)


def test_one_that_waits_for_no_statement_says_so_too(rf, caplog, monkeypatch):
    record = RequestRecord(rf.get("/facilities"))
    record.request.id = "ama"
    monkeypatch.setitem(waiting, record.thread_id, (None, 0.0))

    request_watch.report(record, "is still not answered")

    assert "waits for the database: to check a connection, or to commit; stack:" in caplog.text


def test_what_the_watch_stumbles_over_does_not_end_it(monkeypatch, caplog):
    looks = []

    def stumble():
        looks.append("look")
        raise KeyError("of a fault")

    def stop_after_two(seconds):
        if len(looks) == 2:
            raise SystemExit

    monkeypatch.setattr(request_watch, "report_overdue", stumble)
    monkeypatch.setattr(
        request_watch, "time", SimpleNamespace(sleep=stop_after_two, monotonic=time.monotonic)
    )

    with pytest.raises(SystemExit):
        request_watch.watch_for_ever()

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "KeyError: 'of a fault'" in caplog.text


def test_a_worker_that_gunicorn_aborts_says_what_it_had_in_hand(log):
    aborted = {
        "REQUEST_DEADLINE_SECONDS": "60",
        "GUNICORN_WORKER_CLASS": "sync",
        "GUNICORN_THREADS": "1",
        "GUNICORN_TIMEOUT_S": "1",
        "HANG_SECONDS": "20",
    }
    with log.open("wb") as output, hanging(output, **aborted) as address:
        assert get(address, "/python") in {None, 500}
        assert get(address, "/nothing") == 200

    [error] = errors(log, "/python")
    assert "timeout: GET /python was cut off with its worker, which gunicorn aborted" in error
    assert "in compute_for_ever" in error
