"""What deploy/postgres/init.sh lets each of the database's roles do."""

import os
import runpy
import shlex
import subprocess
import sys
from contextlib import closing

import psycopg2
import pytest
from django.conf import settings
from psycopg2.errors import InsufficientPrivilege

from tests.checks.pgbouncer import EFUA, PASSWORD, PRACTITIONERS, REFERRALS_OF_EACH, main_job
from tests.checks.throwaway import throwaway_server
from tests.served import serving

INIT = settings.BASE_DIR / "deploy" / "postgres" / "init.sh"
BACKUP = settings.BASE_DIR / "scripts" / "backup.py"

CHANGES_OF_THE_SCHEMA = [
    "CREATE TABLE own (id int)",
    "CREATE SCHEMA own",
    "CREATE EXTENSION hstore",
    "CREATE OR REPLACE FUNCTION medics_changed_by() RETURNS uuid LANGUAGE sql AS 'SELECT NULL'",
    "ALTER TABLE medics_referral DISABLE TRIGGER USER",
    "ALTER TABLE medics_referral ADD own int",
    "CREATE INDEX ON medics_referral (status)",
    "DROP TABLE medics_statuschange",
    "DROP TRIGGER record_status ON medics_referral",
    "TRUNCATE medics_statuschange",
    "SET session_replication_role = replica",
    "SET ROLE owner",
]


@pytest.fixture
def server():
    with throwaway_server() as server:
        yield server


@pytest.fixture
def at_server(server, monkeypatch):
    """The variables with which PostgreSQL's programs are at this server."""
    monkeypatch.syspath_prepend(settings.BASE_DIR / "scripts")
    programs = runpy.run_path(str(settings.BASE_DIR / "scripts" / "embedded_postgres.py"))
    return {
        "PATH": f"{programs['programs']()}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGPASSWORD": server.password,
        "POSTGRES_USER": "tetradx",
        "POSTGRES_DB": "tetradx",
    }


@pytest.fixture
def make_roles(at_server):
    def make_roles():
        roles = {"DB_USER": "service", "DB_OWNER_USER": "owner"}
        passwords = {"DB_PASSWORD": "of-the-service", "DB_OWNER_PASSWORD": "of-the-owner"}
        subprocess.run(["sh", INIT], env={**at_server, **roles, **passwords}, check=True)

    return make_roles


@pytest.fixture
def url_of(server):
    return lambda role: f"postgres://{role}:of-the-{role}@127.0.0.1:{server.port}/tetradx"


@pytest.fixture
def run_as(url_of):
    """Runs a statement as that role, in a transaction; gives its rows."""

    def run_as(role, sql):
        with (
            closing(psycopg2.connect(url_of(role))) as session,
            session,
            session.cursor() as cursor,
        ):
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return run_as


def test_the_role_that_serves_does_the_main_job_and_cannot_change_the_schema(
    server, make_roles, url_of, run_as, tmp_path
):
    make_roles()
    server.manage("migrate", "--verbosity=0", url=url_of("owner"))
    facility = ["Korle Laboratory", "--admin-name=Efua Asante", f"--admin-phone={EFUA}"]
    server.manage("create_facility", *facility, input=PASSWORD, url=url_of("service"))
    with (
        (tmp_path / "log").open("wb") as log,
        serving(log, DATABASE_URL=url_of("service")) as address,
    ):
        assert main_job(address) == PRACTITIONERS * REFERRALS_OF_EACH
    server.manage("purge_expired", url=url_of("service"))
    server.manage("set_session_defaults", url=url_of("service"))

    assert "owns" not in (tmp_path / "log").read_text()
    for change in CHANGES_OF_THE_SCHEMA:
        with pytest.raises(InsufficientPrivilege):
            run_as("service", change)


def test_what_one_role_owned_before_is_given_to_the_owner(server, make_roles, run_as):
    server.query("CREATE ROLE service LOGIN")
    server.query("ALTER DATABASE tetradx OWNER TO service")
    server.query(
        "SET ROLE service; CREATE TABLE note (id int GENERATED ALWAYS AS IDENTITY, t text)"
    )

    for _again in range(2):
        make_roles()

    run_as("service", "INSERT INTO note (t) VALUES ('kept')")
    assert run_as("service", "SELECT tableowner FROM pg_tables WHERE tablename = 'note'") == [
        ("owner",)
    ]
    with pytest.raises(InsufficientPrivilege):
        run_as("service", "ALTER TABLE note ADD own int")
    run_as("owner", "ALTER TABLE note ADD new int")


def test_a_restored_database_keeps_its_roles(
    server, at_server, make_roles, run_as, tmp_path, monkeypatch
):
    make_roles()
    run_as("owner", "CREATE TABLE django_migrations (id serial, name text)")
    environment = {
        **os.environ,
        "TETRADX_DB_EXEC": shlex.join(["env", *map("=".join, at_server.items())]),
    }
    backup = [sys.executable, BACKUP]
    subprocess.run([*backup, "make", tmp_path], env=environment, check=True)
    [file] = tmp_path.glob("*.dump")

    subprocess.run([*backup, "restore", file], env=environment, check=True)

    run_as("service", "INSERT INTO django_migrations (name) VALUES ('kept')")
    run_as("owner", "CREATE TABLE later (id int)")
    assert run_as("service", "SELECT * FROM later") == []
    for change in ("DROP TABLE django_migrations", "CREATE TABLE own (id int)"):
        with pytest.raises(InsufficientPrivilege):
            run_as("service", change)
