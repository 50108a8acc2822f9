"""Workers are replaced, by an operator or by themselves, while clients notice nothing."""

import http.client
import os
import re
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from tests.support.service import serving

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 4


@contextmanager
def clients_at_work(address):
    """Their answers' statuses, and None for each that was not answered, complete at the end."""
    statuses: list[int | None] = []
    ended = threading.Event()

    def ask():
        connection = http.client.HTTPConnection(*address, timeout=30)
        while not ended.is_set():
            try:
                connection.request("GET", "/api/medics/facilities")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            except (ConnectionError, http.client.HTTPException):
                statuses.append(None)
                connection.close()
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def master_of(log) -> int:
    return int(re.search(r"Starting gunicorn.*?\n.*?Listening at: .*? \((\d+)\)", log, re.S)[1])


def until(condition, seconds=30):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it never came to be"
        time.sleep(0.02)


def workers(log) -> list[int]:
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", log.read_text())]


def test_a_reload_fails_no_request(log):
    with log.open("wb") as output, serving(output) as address:
        until(lambda: len(workers(log)) == 2)
        before = workers(log)
        with clients_at_work(address) as statuses:
            until(lambda: len(statuses) > 50)
            os.kill(master_of(log.read_text()), signal.SIGHUP)
            for worker in before:
                until(lambda worker=worker: f"Worker exiting (pid: {worker})" in log.read_text())
            answered = len(statuses)
            until(lambda: len(statuses) > answered + 50)

    assert set(statuses) == {200}


def test_workers_that_have_had_their_share_are_replaced_without_a_failed_request(log):
    with (
        log.open("wb") as output,
        serving(output, GUNICORN_MAX_REQUESTS="60") as address,
        clients_at_work(address) as statuses,
    ):
        until(lambda: len(workers(log)) >= 6)

    assert set(statuses) == {200}


def test_a_killed_worker_takes_no_request_but_its_own_along(log):
    with log.open("wb") as output, serving(output) as address:
        until(lambda: len(workers(log)) == 2)
        with clients_at_work(address) as statuses:
            until(lambda: len(statuses) > 50)
            os.kill(workers(log)[0], signal.SIGKILL)
            until(lambda: len(workers(log)) == 3)
            answered = len(statuses)
            until(lambda: len(statuses) > answered + 50)

    assert set(statuses) <= {200, None}
    # Each client has one request in hand at most.
    assert statuses.count(None) <= CLIENTS
