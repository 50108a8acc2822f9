"""Killed at any moment, refused or failed: the target is as empty as before."""

import os
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from time import sleep

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from medics.models import Referral, ReferralCount
from takeover import report
from takeover.tables import TABLES
from tests.support.concurrency import while_open
from tests.support.database import database_url

pytestmark = pytest.mark.django_db(transaction=True)

GATE = 20_250_203


def is_empty():
    models = [*(table.model for table in TABLES), ReferralCount]
    return not any(model.objects.exists() for model in models)


@contextmanager
def held_at_the_counts():
    """An import within waits once it has written everything but the counts."""
    with closing(psycopg2.connect(database_url())) as other:
        other.autocommit = True
        cursor = other.cursor()
        cursor.execute(
            f"""
            CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NULL; END $$;
            CREATE TRIGGER wait_at_the_gate BEFORE INSERT ON medics_referralcount
                EXECUTE FUNCTION wait_at_the_gate();
            """
        )
        cursor.execute(f"SELECT pg_advisory_lock({GATE})")
        try:
            yield cursor
        finally:
            cursor.execute(f"SELECT pg_advisory_unlock({GATE})")
            cursor.execute("DROP FUNCTION wait_at_the_gate CASCADE")


def wait_until(cursor, running, condition, *values):
    cursor.execute(condition, values)
    while cursor.fetchone() != (True,):
        assert running.poll() is None, running.communicate()
        sleep(0.02)
        cursor.execute(condition, values)


def start(predecessor, path):
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_predecessor", f"--report={path}"],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "ENVIRONMENT": "test",
            "DATABASE_URL": database_url(),
            "PREDECESSOR_DATABASE_URL": predecessor.url,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_killed_in_the_middle_nothing_is_there_and_the_next_import_succeeds(
    working, import_predecessor, tmp_path
):
    with held_at_the_counts() as cursor:
        running = start(working.predecessor, tmp_path / "killed.csv")
        # Tests that run at the same time have gates of their own.
        waiting = (
            "FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND objid = %s"
            " AND NOT granted"
        )
        wait_until(cursor, running, f"SELECT EXISTS (SELECT {waiting})", GATE)
        cursor.execute(f"SELECT pid {waiting}", [GATE])
        [backend] = cursor.fetchone()

        running.kill()
        running.communicate()

        # It notices although it waits, so that the tables are free again.
        cursor.execute("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", [backend])
        while cursor.fetchone() != (True,):
            sleep(0.02)
            cursor.execute(
                "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", [backend]
            )
    assert is_empty()

    assert import_predecessor().error is None
    assert Referral.objects.count() == 1


def test_the_second_import_refuses_and_changes_nothing(working, import_predecessor):
    import_predecessor()
    before = Referral.objects.values().get()

    second = import_predecessor()

    assert "already holds users, facilities, branches" in second.error
    assert Referral.objects.values().get() == before


def test_of_two_at_once_one_refuses(working, import_predecessor, tmp_path):
    def lock():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('import_predecessor', 0))"
            )

    result = while_open(lock, import_predecessor)

    assert result.error == "Another import is at work on this database."
    assert is_empty()


def test_an_error_at_the_end_leaves_neither_rows_nor_a_report(working, import_predecessor):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no room'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON medics_referralcount EXECUTE FUNCTION fail();
            """
        )
    try:
        result = import_predecessor()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION fail CASCADE")

    assert result.error == "Nothing was changed: no room"
    assert is_empty()
    assert not result.path.exists()


def test_only_its_owner_reads_the_report_and_none_is_overwritten(
    working, import_predecessor, tmp_path
):
    working.predecessor.add("User", phone_number=None)
    path = tmp_path / "report.csv"

    result = import_predecessor()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result.lines[0].keys() == {"table", "id", "rule", "what was wrong", "what was done"}
    again = import_predecessor("--check", keep_report=True)
    assert again.error == f"{path} is there already; --report names another file."
    assert again.lines == result.lines


def test_a_report_that_cannot_be_written_is_said_before_anything_is_done(
    working, import_predecessor, tmp_path
):
    result = import_predecessor(report=tmp_path / "nowhere" / "report.csv")

    assert "cannot be written: No such file or directory." in result.error
    assert is_empty()


def test_the_report_of_what_may_have_been_kept_is_kept(tmp_path):
    path = tmp_path / "report.csv"

    def interrupted_after_the_report():
        with report.new_report(path) as file:
            file.write("table,id")
            file.close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_after_the_report()

    assert path.read_text() == "table,id"


def test_the_triggers_are_on_again(working, import_predecessor):
    import_predecessor()

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'")
        assert cursor.fetchone() == (0,)
