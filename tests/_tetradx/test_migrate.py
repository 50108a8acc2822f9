import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.models.signals import pre_migrate

from _tetradx.management.commands.migrate import KEY
from tests.support.concurrency import while_open

pytestmark = pytest.mark.django_db(transaction=True)


def show(name):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


def is_held():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND granted)"
        )
        return cursor.fetchone()[0]


def test_a_second_migrate_waits_for_the_first():
    waiting = io.StringIO()

    def hold():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({KEY})")

    while_open(hold, lambda: call_command("migrate", stdout=waiting))

    said = waiting.getvalue()
    assert said.startswith("Another migrate is at work; waiting for it.")
    assert "No migrations to apply." in said
    assert not is_held()


def test_migrations_run_alone_and_without_a_requests_statement_timeout():
    before = {name: show(name) for name in ("statement_timeout", "lock_timeout")}
    meanwhile = {}

    def look(**_kwargs):
        meanwhile.update({name: show(name) for name in before}, held=is_held())

    pre_migrate.connect(look)
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(look)

    lock_timeout = before["lock_timeout"]
    assert meanwhile == {"statement_timeout": "0", "lock_timeout": lock_timeout, "held": True}
    assert {name: show(name) for name in before} == before
    assert lock_timeout != "0"


def test_a_migrate_that_fails_lets_the_next_one_go_on():
    with pytest.raises(CommandError):
        call_command("migrate", "medics", "9999", verbosity=0)

    assert not is_held()


def test_an_older_postgresql_is_refused_in_words(monkeypatch):
    monkeypatch.setitem(connections["default"].__dict__, "pg_version", 160004)
    with pytest.raises(CommandError, match="PostgreSQL 17 or newer is needed"):
        call_command("migrate", verbosity=0)
