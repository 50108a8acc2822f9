"""Who waits for a database that gives no answer, and who does not."""

from contextlib import closing

import psycopg2
import pytest
from django.db import connection

from _tetradx.db import connections
from _tetradx.db.bounded_query import rows_within
from _tetradx.db.connections import PAUSE_SECONDS, SLOW_SECONDS, Connection
from tests.support.ports import free_port, silent

pytestmark = pytest.mark.django_db


class Clock:
    """Each look at it takes `step` seconds, and so each attempt does."""

    now, step = 1000.0, 0.0

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(connections, "time", clock)
    monkeypatch.setattr(Connection, "next_attempt_at", None)
    return clock


def connect(**changes):
    parameters = {**connection.get_connection_params(), **changes}
    with closing(psycopg2.connect(**parameters)) as made, made.cursor() as cursor:
        cursor.execute("SELECT 1")


def connect_in_vain():
    connect(host="127.0.0.1", port=1)


@pytest.fixture
def out_of_reach(clock):
    """An attempt has just failed slowly."""
    clock.step = SLOW_SECONDS
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        connect_in_vain()
    clock.step = 0.0


def test_the_services_connections_are_of_this_kind():
    connection.ensure_connection()

    assert isinstance(connection.connection, Connection)


def test_after_a_refusal_everybody_may_try(clock):
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            connect_in_vain()

    connect()


@pytest.mark.usefixtures("out_of_reach")
def test_after_a_slow_failure_nobody_tries_for_a_moment():
    with pytest.raises(psycopg2.OperationalError, match="out of reach a moment ago"):
        connect()


def probe_with_an_answer():
    assert rows_within(5, "SELECT 1") == [[(1,)]]


def probe_in_vain(monkeypatch, host, port):
    monkeypatch.setitem(connection.settings_dict, "HOST", host)
    monkeypatch.setitem(connection.settings_dict, "PORT", port)
    with pytest.raises((TimeoutError, psycopg2.OperationalError)):
        rows_within(0.1, "SELECT 1")


@pytest.mark.parametrize("mark", [None, 1.0, 9999.0], ids=["in reach", "due", "not yet due"])
def test_a_probe_never_changes_whether_it_is_out_of_reach(clock, monkeypatch, mark):
    Connection.next_attempt_at = mark
    clock.step = SLOW_SECONDS

    probe_with_an_answer()
    assert Connection.next_attempt_at == mark
    probe_in_vain(monkeypatch, "127.0.0.1", 1)
    assert Connection.next_attempt_at == mark
    port = free_port()
    with silent(port):
        probe_in_vain(monkeypatch, "127.0.0.1", port)
    assert Connection.next_attempt_at == mark


@pytest.mark.usefixtures("out_of_reach")
def test_then_one_tries_and_the_others_do_not_wait(clock):
    clock.now += PAUSE_SECONDS

    with (
        Connection.single,
        pytest.raises(psycopg2.OperationalError, match="another thread tries"),
    ):
        connect()


@pytest.mark.usefixtures("out_of_reach")
def test_once_it_is_reached_everybody_may_try_again(clock):
    clock.now += PAUSE_SECONDS
    connect()

    with Connection.single:
        connect()


@pytest.mark.usefixtures("out_of_reach")
def test_a_refusal_shows_that_it_is_in_reach(clock):
    clock.now += PAUSE_SECONDS
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        connect_in_vain()

    with Connection.single:
        connect()


@pytest.mark.usefixtures("out_of_reach")
def test_a_second_slow_failure_is_followed_by_another_pause(clock):
    clock.now, clock.step = clock.now + PAUSE_SECONDS, SLOW_SECONDS
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        connect_in_vain()
    clock.step = 0.0

    with pytest.raises(psycopg2.OperationalError, match="out of reach a moment ago"):
        connect()
