import logging

import pytest
from django.db import connection

from _tetradx.db.startup_checks import warn_of_rights, warn_of_too_few
from tests.support.service import serving

pytestmark = pytest.mark.django_db(transaction=True)


def most_connections():
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        return int(cursor.fetchone()[0])


def test_too_many_workers_and_threads_are_warned_of_before_there_is_one(tmp_path):
    threads = str(most_connections())
    log = tmp_path / "log"
    with log.open("wb") as output, serving(output, GUNICORN_THREADS=threads):
        pass

    lines = log.read_text().splitlines()
    [warning] = [line for line in lines if "GUNICORN_THREADS" in line]
    assert f"{2 * int(threads)} workers x threads want as many database connections" in warning
    assert "raise its max_connections" in warning
    assert lines.index(warning) < next(n for n, line in enumerate(lines) if "Booting" in line)


def test_a_number_that_the_database_lets_in_is_not_warned_of(caplog):
    warn_of_too_few(wanted=1)
    assert not caplog.records


def test_no_connection_is_left_for_workers_to_share(caplog):
    warn_of_too_few(wanted=1)
    assert connection.connection is None


def test_a_database_that_is_away_does_not_stop_the_start(caplog, monkeypatch):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    with caplog.at_level(logging.WARNING, "tetradx.database"):
        warn_of_too_few(wanted=1)
    assert caplog.messages == ["The database does not answer yet: OperationalError"]


def test_a_role_that_may_do_more_than_it_should_is_warned_of_in_production(caplog, settings):
    warn_of_rights()
    assert not caplog.records

    settings.PRODUCTION = True
    warn_of_rights()

    [line] = caplog.records
    assert line.levelname == "WARNING"
    role = connection.settings_dict["USER"]
    assert f"The role that serves requests, {role}, may do more than it should" in caplog.text
    assert "it is a superuser; " in caplog.text
    assert "owns tables; " in caplog.text
    assert connection.connection is None


def test_of_a_database_that_is_away_nothing_more_is_told(caplog, monkeypatch, settings):
    settings.PRODUCTION = True
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    warn_of_rights()
    assert not caplog.records


def test_what_cannot_be_asked_does_not_stop_the_start(caplog, monkeypatch, settings):
    settings.PRODUCTION = True
    monkeypatch.setattr("_tetradx.db.startup_checks.EXCESS_OF_ROLE", "SELECT nobody_has_this()")
    warn_of_rights()
    assert caplog.messages == ["What the role may do could not be asked: ProgrammingError"]
