"""The script runs as make runs it, with the programs of the tests' own PostgreSQL."""

import os
import stat
import subprocess
import sys

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from medics.models import Facility, Referral
from tests.factories import ReferralFactory
from tests.support.api_client import Caller
from tests.support.database import execute, own_role
from tests.support.service import serving

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = settings.BASE_DIR / "scripts" / "backup.py"


@pytest.fixture
def backup(at_server, beside):
    """Runs the script, with other variables of its own; gives how it finished."""

    def backup(*arguments, **variables):
        return subprocess.run(
            [sys.executable, str(SCRIPT), *map(str, arguments)],
            env={**os.environ, "TETRADX_DB_EXEC": at_server, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return backup


@pytest.fixture
def made(backup, referral, tmp_path):
    """The file of a backup that holds Ama's referral."""
    done = backup("make", tmp_path / "backups")
    assert done.returncode == 0, done.stderr
    [file] = (tmp_path / "backups").glob("*.dump")
    return file


def wipe():
    """Everything is gone, the tables too."""
    execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def rows_of_every_table():
    """How many each table has."""
    with connection.cursor() as cursor:
        rows = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608
            [rows[table]] = cursor.fetchone()
        return rows


def test_a_backup_is_a_private_file_that_has_been_restored_and_compared(made, backup, beside):
    for file in (made, made.with_name(f"{made.name}.counts")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert made.read_bytes().startswith(b"PGDMP")
    assert sorted(made.parent.iterdir()) == [made, made.with_name(f"{made.name}.counts")]
    assert beside() == []


def test_a_backup_counts_every_table(made):
    lines = made.with_name(f"{made.name}.counts").read_text().splitlines()
    counted = dict(line.split("|") for line in lines)

    assert {table: int(rows) for table, rows in counted.items()} == rows_of_every_table()
    assert counted["medics_referraltest"] == "2"


def test_a_wiped_database_is_restored_with_every_row(made, backup, referral):
    before = rows_of_every_table()
    wipe()
    connection.close()

    done = backup("restore", made)

    assert done.returncode == 0, done.stderr
    assert rows_of_every_table() == before
    restored = Referral.objects.with_details().get()
    assert restored == referral
    assert restored.patient.full_name_or_id == "Akosua Mensah"


def test_a_database_that_is_gone_is_restored(made, backup, referral):
    name = connection.settings_dict["NAME"]
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    done = backup("restore", made)

    assert done.returncode == 0, done.stderr
    assert Referral.objects.get() == referral


def test_what_was_there_before_a_restore_is_kept(made, backup, beside):
    ReferralFactory()
    connection.close()

    done = backup("restore", made)

    assert done.returncode == 0, done.stderr
    assert Referral.objects.count() == 1
    [kept] = beside()
    assert kept in done.stdout
    with psycopg2.connect(**{**connection.get_connection_params(), "dbname": kept}) as old:
        cursor = old.cursor()
        cursor.execute("SELECT count(*) FROM medics_referral")
        assert cursor.fetchone() == (2,)
    old.close()


def test_rules_and_numbers_go_on_where_they_were(made, backup, referral):
    connection.close()

    assert backup("restore", made).returncode == 0

    ReferralFactory(facility_branch=referral.facility_branch, referred_by=referral.referred_by)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(number) FROM medics_referralcount WHERE branch_id IS NOT NULL")
        assert cursor.fetchone() == (2,)


def test_the_service_goes_on_when_the_database_was_put_in_place(made, backup):
    connection.close()
    with serving() as address:
        call = Caller(*address)
        assert call("GET", "/api/medics/facilities")[0] == 200

        assert backup("restore", made).returncode == 0

        assert call("GET", "/api/medics/facilities")[0] == 200


@pytest.fixture
def service_role():
    """A role that owns the table of migrations, as the service's does; the server has others."""
    role = own_role("korle")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        [me] = cursor.fetchone()
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"ALTER TABLE django_migrations OWNER TO {role}")
    yield role.strip('"')
    execute(f"ALTER TABLE django_migrations OWNER TO {me}")
    execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" OWNER TO {me}')
    execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_the_services_role_owns_what_was_restored(service_role, made, backup):
    connection.close()

    assert backup("restore", made).returncode == 0

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_userbyid(datdba), tableowner FROM pg_database, pg_tables"
            " WHERE datname = current_database() AND tablename = 'django_migrations'"
        )
        assert cursor.fetchone() == (service_role, service_role)


def test_a_backup_can_be_checked_again(made, backup, beside):
    done = backup("check", made)

    assert done.returncode == 0, done.stderr
    assert "can be restored" in done.stdout
    assert beside() == []


def test_a_backup_that_lacks_rows_is_found_out(made, backup, beside):
    counts = made.with_name(f"{made.name}.counts")
    counts.write_text(counts.read_text().replace("medics_referral|1", "medics_referral|2"))

    for command in ("check", "restore"):
        done = backup(command, made)

        assert done.returncode == 1
        assert "medics_referral|1\nmedics_referral|2" in done.stderr
        assert beside() == []
    assert Referral.objects.count() == 1


@pytest.fixture
def folder(tmp_path):
    """Seven backups, one without its counts; the newest was the first to be copied there."""
    folder = tmp_path / "kept"
    folder.mkdir()
    for day in (27, 26, 25, 24, 23, 22, 21):
        dump = folder / f"tetradx-202611{day}T011500Z.dump"
        dump.write_bytes(b"PGDMP")
        dump.with_name(f"{dump.name}.counts").write_text("")
    (folder / "tetradx-20261127T011500Z.dump.counts").unlink()
    return folder


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("", "Which backup is not said. "),
        ("kept", "kept: Is a directory. "),
        ("tetradx.dump", "tetradx.dump: No such file or directory. "),
        ("kept/tetradx-20261127T011500Z.dump", ".dump.counts: No such file or directory, which "),
        ("kept/tetradx-20261126T011500Z.dump.counts", "counts.counts: No such file or directory, "),
    ],
)
@pytest.mark.parametrize(("command", "say"), [("check", "check "), ("restore", "restore FILE=")])
def test_what_is_no_backup_is_answered_with_those_there_are(
    backup, folder, beside, command, say, file, said
):
    # The server is not asked: nobody needs it to hear what to say.
    done = backup(command, file and folder.parent / file, folder, TETRADX_DB_EXEC="false")

    assert done.returncode == 1
    assert said in done.stderr.splitlines()[0]
    newest = [f"  {folder}/tetradx-202611{day}T011500Z.dump" for day in (26, 25, 24, 23, 22)]
    assert done.stderr.splitlines()[1:6] == newest
    [how] = done.stderr.splitlines()[6:]
    assert how.endswith(f"{say}{newest[0].strip()}")
    assert beside() == []


def test_where_there_is_no_backup_it_says_so(backup, tmp_path):
    done = backup("restore", "", tmp_path / "none")
    assert done.stderr == (
        f"Which backup is not said. No backup lies in {tmp_path}/none; "
        "make restore FILE=/the/folder/NAME.dump is one elsewhere.\n"
    )


def test_half_a_backup_changes_nothing(made, backup, beside):
    made.write_bytes(made.read_bytes()[: made.stat().st_size // 2])

    done = backup("restore", made)

    assert done.returncode == 1
    assert beside() == []
    assert Referral.objects.count() == 1


@pytest.fixture
def instead_of_pg_dump(tmp_path, at_server):
    """Gives what to run in place of pg_dump; returns TETRADX_DB_EXEC with it."""

    def instead_of_pg_dump(script):
        stand_in = tmp_path / "pg_dump"
        stand_in.write_text(f"#!/bin/sh\n{script}\n")
        stand_in.chmod(0o755)
        return at_server.replace("PATH=", f"PATH={tmp_path}{os.pathsep}", 1)

    return instead_of_pg_dump


def test_rows_that_come_meanwhile_are_neither_dumped_nor_counted(
    backup, tmp_path, programs, instead_of_pg_dump
):
    insert = "INSERT INTO medics_facility (name, contact_number, created_at) VALUES ('', '', now())"
    at_server = instead_of_pg_dump(f'psql -qc "{insert}" && exec {programs}/pg_dump "$@"')

    done = backup("make", tmp_path / "made", TETRADX_DB_EXEC=at_server)

    assert done.returncode == 0, done.stderr
    [counts] = (tmp_path / "made").glob("*.counts")
    assert "medics_facility|0" in counts.read_text().splitlines()
    assert Facility.objects.count() == 1


def test_a_dump_that_fails_leaves_no_file(backup, tmp_path, instead_of_pg_dump):
    at_server = instead_of_pg_dump("echo half; exit 1")

    done = backup("make", tmp_path / "made", TETRADX_DB_EXEC=at_server)

    assert done.returncode == 1
    assert "The dump failed" in done.stderr
    assert list((tmp_path / "made").iterdir()) == []


def test_a_server_that_is_not_reached_is_named(backup, tmp_path):
    done = backup("make", tmp_path, TETRADX_DB_EXEC="false")

    assert done.returncode == 1
    assert "not reached by: false" in done.stderr


def test_without_a_command_it_says_how_it_is_used(backup):
    done = backup()

    assert done.returncode == 1
    assert "backup.py restore FILE" in done.stderr
