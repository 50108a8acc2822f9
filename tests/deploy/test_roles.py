"""What deploy/postgres/init.sh lets each of the database's roles do."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from contextlib import closing, contextmanager

import psycopg2
import pytest
from django.conf import settings
from psycopg2 import IntegrityError
from psycopg2.errors import InsufficientPrivilege

from _tetradx.db.startup_checks import EXCESS, EXCESS_OF_ROLE, KEPT_TABLES
from tests.support.main_job import EFUA, PASSWORD, PRACTITIONERS, REFERRALS_OF_EACH, main_job
from tests.support.service import serving
from tests.support.throwaway_postgres import throwaway_server

INIT = settings.BASE_DIR / "deploy" / "postgres" / "init.sh"
BACKUP = settings.BASE_DIR / "scripts" / "backup.py"

SERVICE_PASSWORD, OWNER_PASSWORD = "of-the-service", "of-the-owner"

# What everybody has who may log in; psycopg2 sends each as it stands.
REFUSED = """
    CREATE TABLE own (id int)
    CREATE SCHEMA own
    CREATE EXTENSION hstore
    CREATE EXTENSION dblink
    CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'
    CREATE OR REPLACE FUNCTION medics_changed_by() RETURNS uuid LANGUAGE sql AS 'SELECT NULL'
    ALTER FUNCTION medics_record_change() RESET search_path
    ALTER FUNCTION medics_record_change() SECURITY INVOKER
    ALTER TABLE medics_referral ADD own int
    CREATE INDEX ON medics_referral (status)
    CREATE RULE own AS ON INSERT TO medics_facility DO INSTEAD NOTHING
    DROP TABLE medics_statuschange
    DROP VIEW medics_history

    CREATE TEMP TABLE medics_change (id int)
    CREATE TEMP TABLE pg_class AS SELECT current_user::regrole AS relowner
    CREATE TEMP VIEW medics_statuschange AS SELECT 1 AS id
    CREATE TEMP SEQUENCE own
    SELECT 1 AS id INTO TEMP medics_change
    CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'
    CREATE DOMAIN pg_temp.jsonb AS text
    CREATE TYPE pg_temp.uuid AS (id int)
    CREATE OPERATOR pg_temp.<> (FUNCTION = pg_catalog.int4eq, LEFTARG = int, RIGHTARG = int)

    SET ROLE owner
    SET ROLE pg_read_server_files
    SET SESSION AUTHORIZATION owner
    GRANT owner TO service
    ALTER ROLE owner PASSWORD 'mine'
    CREATE ROLE own
    ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT ALL ON TABLES TO service

    SET session_replication_role = replica
    ALTER ROLE service SET session_replication_role = replica
    ALTER TABLE medics_referral DISABLE TRIGGER USER
    ALTER TABLE authentication_user DISABLE TRIGGER record_change
    ALTER TABLE medics_change DISABLE TRIGGER keep_history
    DROP TRIGGER record_status ON medics_referral
    CREATE TRIGGER own AFTER INSERT ON medics_facility EXECUTE FUNCTION medics_record_change()
    SELECT medics_record_change()
    SELECT medics_record_creation()

    INSERT INTO medics_change (changed_at, action, row_table, row_id) VALUES (now(), '', '', '')
    INSERT INTO medics_statuschange (from_status) VALUES ('Pending')
    COPY medics_change FROM STDIN
    UPDATE medics_change SET request_id = ''
    UPDATE medics_statuschange SET changed_by_id = NULL
    DELETE FROM medics_change
    DELETE FROM medics_statuschange
    TRUNCATE medics_statuschange
    TRUNCATE medics_patient CASCADE
    MERGE INTO medics_change USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE
    SELECT * FROM medics_change
    SELECT * FROM medics_statuschange FOR UPDATE
    SELECT nextval('medics_change_id_seq')
    SELECT setval('medics_statuschange_id_seq', 1)
    SELECT medics_write_down('removed', NULL, '', 'medics_patient', '', '{}')
    SELECT medics_write_down('changed', NULL, '', 'authentication_user', '', '{}')

    UPDATE medics_referralcount SET number = 0
    DELETE FROM medics_referralcount
    INSERT INTO medics_cataloguechange (number, changed_at) VALUES (1, now())
    DELETE FROM medics_cataloguechange
    INSERT INTO django_migrations (app, name, applied) VALUES ('medics', '9999', now())
    DELETE FROM django_migrations
    UPDATE auth_permission SET codename = 'change_user'
    UPDATE django_content_type SET model = 'user'

    SELECT lo_create(0)
    SELECT lo_creat(-1)
    SELECT lo_from_bytea(0, 'kept')
    SELECT lo_import('/etc/passwd')
    LOCK TABLE medics_change IN ACCESS SHARE MODE
    LOCK TABLE medics_statuschange IN ROW EXCLUSIVE MODE
    LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE

    COPY (SELECT 1) TO PROGRAM 'true'
    COPY (SELECT 1) TO '/tmp/own'
    SELECT pg_read_file('PG_VERSION')
    SELECT pg_read_binary_file('PG_VERSION')
    SELECT pg_ls_dir('.')
    SELECT pg_ls_logdir()
    SELECT pg_stat_statements_reset()
    SELECT pg_reload_conf()
"""

# What stands before the true ones where temporary tables are allowed after all: the tables that the
# triggers write or ask, with a function, an operator and types that they use.
IMPOSTORS = {
    "the tables that they write": [
        "CREATE TEMP TABLE medics_change (id serial, changed_at timestamptz, changed_by_id uuid,"
        " request_id text, action text, row_table text, row_id text, subject_table text,"
        " subject_id text, old jsonb, new jsonb)",
        *(
            f"CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL)"
            for table in (
                *("medics_statuschange", "medics_referralcount", "medics_cataloguechange"),
                *("authentication_session", "medics_referral"),
            )
        ),
    ],
    "the tables that they ask": [
        "CREATE TEMP TABLE pg_class AS SELECT oid, 'service'::regrole::oid AS relowner"
        " FROM pg_catalog.pg_class",
        "CREATE TEMP TABLE medics_patient (LIKE public.medics_patient)",
        "CREATE TEMP TABLE medics_referraltest (LIKE public.medics_referraltest)",
        "SET tetradx.forgetting = on",
    ],
    "views": [
        "CREATE TEMP VIEW medics_change AS SELECT * FROM public.medics_facility",
        "CREATE TEMP VIEW medics_statuschange AS SELECT * FROM public.medics_facility",
        "CREATE TEMP VIEW come AS SELECT * FROM public.medics_facility",
        "CREATE TEMP VIEW pg_class AS SELECT pg_class.oid, pg_roles.oid AS relowner"
        " FROM pg_catalog.pg_class, pg_catalog.pg_roles WHERE rolname = 'service'",
        "SET tetradx.forgetting = on",
    ],
    "types": [
        "CREATE TYPE pg_temp.jsonb AS (own int)",
        "CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (VALUE <> 'changed')",
        "CREATE TYPE pg_temp.bigint AS (own int)",
    ],
    "functions and operators": [
        "CREATE FUNCTION pg_temp.differ(jsonb, jsonb) RETURNS boolean"
        " LANGUAGE sql AS 'SELECT false'",
        "CREATE OPERATOR pg_temp.<> (FUNCTION = pg_temp.differ, LEFTARG = jsonb, RIGHTARG = jsonb)",
        "CREATE FUNCTION pg_temp.medics_changed_by() RETURNS uuid LANGUAGE sql"
        " AS 'SELECT gen_random_uuid()'",
        "CREATE FUNCTION pg_temp.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql"
        " AS 'SELECT NULL::jsonb'",
        "SET search_path = pg_temp, public, pg_catalog",
    ],
    "another search path": ["SET search_path = information_schema"],
    "none": ["SET search_path = ''"],
}

# One of each kind that a trigger answers.
CHANGES = """
    UPDATE public.authentication_user SET is_superuser = true WHERE full_name = 'Kofi Boateng'
    UPDATE public.authentication_user SET is_active = false WHERE full_name = 'Kofi Boateng'
    UPDATE public.otp_totp_totpdevice SET key = 'another'
    UPDATE public.medics_referral SET status = 'Received'
    UPDATE public.medics_referraltest SET status = 'Received'
    UPDATE public.medics_facility SET name = 'Ridge'
    UPDATE public.medics_patient SET full_name_or_id = 'Yaa'
    INSERT INTO public.medics_patient (full_name_or_id, contact_number, contact_key, created_at)
        VALUES ('Esi', '', '', now())
    DELETE FROM public.medics_patient WHERE full_name_or_id = 'Esi'
"""

# Without what differs from one run to the next.
EFFECTS = """
    SELECT (
        SELECT array_agg(
            ROW(changed_by_id, action, row_table, old - '{id,created_at}'::text[], new)::text
            ORDER BY changed_at
        ) FROM public.medics_history
    ), (
        SELECT array_agg(ROW(branch_id, status, total)::text ORDER BY branch_id, status) FROM (
            SELECT branch_id, status, sum(number) AS total FROM public.medics_referralcount
            GROUP BY branch_id, status HAVING sum(number) <> 0
        ) AS totals
    ), (
        SELECT sum(number) FROM public.medics_cataloguechange
    ), (
        SELECT count(*) FROM public.authentication_session WHERE ended_at IS NULL
    ), (
        SELECT array_agg(patient_name_folded) FROM public.medics_referral
    )
"""

# Each is one more than the role should have.
TOO_MUCH = {
    "is a superuser": "ALTER ROLE service SUPERUSER",
    "makes roles or databases": "ALTER ROLE service CREATEROLE",
    "replicates, or passes by row security": "ALTER ROLE service BYPASSRLS",
    "belongs to other roles": "GRANT pg_write_all_data TO service",
    "owns tables": "ALTER TABLE medics_test OWNER TO service",
    "owns functions": "ALTER FUNCTION medics_refuse OWNER TO service",
    "makes temporary tables": "GRANT TEMPORARY ON DATABASE tetradx TO PUBLIC",
    "makes schemas": "GRANT CREATE ON DATABASE tetradx TO service",
    "makes tables": "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "empties tables, or hangs triggers on them": "GRANT TRIGGER ON medics_test TO service",
    "writes what triggers and migrations alone write": "GRANT DELETE ON medics_change TO service",
    "keeps large objects": "GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) TO PUBLIC",
    "switches triggers off": "GRANT SET ON PARAMETER session_replication_role TO service",
}

WORKING = """
from authentication.services import open_session
from django_otp.plugins.otp_totp.models import TOTPDevice
from tests.factories import FacilityFactory, FacilityBranchFactory, ReferralFactory
from tests.factories import TechnicianFactory

branch = FacilityBranchFactory(facility=FacilityFactory())
kofi = TechnicianFactory(full_name="Kofi Boateng", branches=[branch])
TOTPDevice.objects.create(user=kofi)
open_session(user=kofi)
ReferralFactory(facility_branch=branch)
"""


def statements_of(text):
    """Each begins with four spaces, and may go on in lines with more."""
    return [" ".join(found.split()) for found in re.split(r"\n    (?! )", text) if found.strip()]


@contextmanager
def running_server(**variables):
    with throwaway_server(**variables) as server:
        yield At(server)


class At:
    """A server with what this script does at it."""

    def __init__(self, server):
        self.server = server
        scripts = str(settings.BASE_DIR / "scripts")
        sys.path.insert(0, scripts)
        programs = runpy.run_path(str(settings.BASE_DIR / "scripts" / "embedded_postgres.py"))
        sys.path.remove(scripts)
        self.environment = {
            "PATH": f"{programs['programs']()}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGPASSWORD": server.password,
            "POSTGRES_USER": "tetradx",
            "POSTGRES_DB": "tetradx",
        }

    def make_roles(self):
        roles = {"DB_USER": "service", "DB_OWNER_USER": "owner"}
        passwords = {"DB_PASSWORD": SERVICE_PASSWORD, "DB_OWNER_PASSWORD": OWNER_PASSWORD}
        environment = {**self.environment, **roles, **passwords}
        return subprocess.run(
            ["sh", INIT], env=environment, check=True, capture_output=True, text=True
        )

    def backup(self, *arguments):
        prefix = shlex.join(["env", *map("=".join, self.environment.items())])
        environment = {**os.environ, "TETRADX_DB_EXEC": prefix}
        subprocess.run([sys.executable, BACKUP, *arguments], env=environment, check=True)

    def url_of(self, role, database="tetradx"):
        return f"postgres://{role}:of-the-{role}@127.0.0.1:{self.server.port}/{database}"

    def run_as(self, role, *statements, database="tetradx"):
        """Runs the statements in one transaction; gives the rows of the last one."""
        with (
            closing(psycopg2.connect(self.url_of(role, database))) as session,
            session,
            session.cursor() as cursor,
        ):
            for sql in statements:
                cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def at():
    with running_server() as at:
        yield at


@pytest.fixture(scope="module")
def working(tmp_path_factory):
    """A database with a referral, made by the owner; and what it was restored to from a backup.

    Gives the server and both names; `tetradx` is the restored one.
    """
    with running_server() as at:
        at.make_roles()
        at.server.manage("migrate", "--verbosity=0", url=at.url_of("owner"))
        at.server.manage("shell", "--verbosity=0", input=WORKING, url=at.url_of("owner"))
        folder = tmp_path_factory.mktemp("backups")
        at.backup("make", folder)
        [file] = folder.glob("*.dump")
        at.backup("restore", file)
        [(before,)] = at.server.query("SELECT datname FROM pg_database WHERE datname ~ '_before_'")
        yield at, [before, "tetradx"]


def refusals(at, database):
    """What was not refused, as it should be."""
    allowed = []
    with closing(psycopg2.connect(at.url_of("service", database))) as session:
        for attack in statements_of(REFUSED):
            try:
                session.cursor().execute(attack)
            except InsufficientPrivilege:
                pass
            except psycopg2.Error as error:
                allowed.append(f"{attack}: {error}")
            else:
                allowed.append(attack)
            session.rollback()
    return allowed


def test_the_role_that_serves_can_change_rows_and_nothing_else(working):
    at, databases = working
    for database in databases:
        assert refusals(at, database) == []


def test_so_it_is_after_the_roles_were_made_again(working):
    at, _ = working
    at.make_roles()
    assert refusals(at, "tetradx") == []


@contextmanager
def temporary_tables_allowed(at, database):
    right = f'TEMPORARY ON DATABASE "{database}"'
    at.run_as("owner", f"GRANT {right} TO service", database=database)
    try:
        yield
    finally:
        at.run_as("owner", f"REVOKE {right} FROM service", database=database)


def effects(at, database, *before):
    """Of the changes, after what the service's role did before; all of it is taken back."""
    with closing(psycopg2.connect(at.url_of("service", database))) as session:
        cursor = session.cursor()
        for sql in (*before, *statements_of(CHANGES)):
            cursor.execute(sql)
        cursor.execute("SET search_path = pg_catalog, public, pg_temp")
        cursor.execute(EFFECTS)
        return cursor.fetchone()


def test_nothing_stands_between_a_change_and_what_the_triggers_keep(working):
    at, databases = working
    for database in databases:
        expected = effects(at, database)
        assert len(expected[0]) > len(statements_of(CHANGES))
        with temporary_tables_allowed(at, database):
            for what, impostors in IMPOSTORS.items():
                assert effects(at, database, *impostors) == expected, what


@pytest.mark.parametrize("kind", ["creation", "change", "deletion"])
def test_a_table_of_ones_own_cannot_have_lines_written(working, kind):
    at, databases = working
    for database in databases:
        with temporary_tables_allowed(at, database), pytest.raises(InsufficientPrivilege):
            at.run_as(
                "service",
                "CREATE TEMP TABLE authentication_user (id int)",
                "CREATE TRIGGER own AFTER INSERT ON authentication_user FOR EACH ROW"
                f" EXECUTE FUNCTION public.medics_record_{kind}('medics_patient', 'id', '{{id}}')",
                database=database,
            )


def test_rights_cannot_be_passed_on_by_an_id(working):
    at, databases = working
    for database in databases:
        for change in (
            "UPDATE authentication_user SET id = gen_random_uuid()",
            "UPDATE auth_group_permissions SET id = id + 1",
            "UPDATE medics_facility SET id = id + 1000",
        ):
            with pytest.raises(IntegrityError, match="cannot change"):
                at.run_as(
                    "service",
                    "INSERT INTO auth_group (name) VALUES ('Operators')",
                    "INSERT INTO auth_group_permissions (group_id, permission_id)"
                    " SELECT auth_group.id, auth_permission.id FROM auth_group, auth_permission",
                    change,
                    database=database,
                )


def test_an_export_is_told_by_who_serves_and_a_removal_by_the_owner_alone(working):
    at, _ = working
    [(patient,)] = at.run_as("service", "SELECT id FROM medics_patient")
    at.server.manage("export_patient", f"--id={patient}", url=at.url_of("service"))
    told = "SELECT request_id FROM medics_history WHERE action = 'exported'"
    assert at.run_as("service", told) == [("manage.py export_patient",)]

    retention = ("apply_retention", "--days=1", "--delete")
    assert "0 patients" in at.server.manage(*retention, url=at.url_of("owner"))
    with pytest.raises(subprocess.CalledProcessError):
        at.server.manage(*retention, url=at.url_of("service"))


def test_a_patient_is_corrected_by_who_serves(working):
    at, _ = working
    [(patient,)] = at.run_as("service", "SELECT id FROM medics_patient")
    printed = at.server.manage(
        "correct_patient", str(patient), input="Akosua Mensah\n-\n", url=at.url_of("service")
    )
    assert "is now Akosua Mensah" in printed

    told = (
        "SELECT request_id, new FROM medics_history WHERE subject_table = 'medics_patient'"
        " AND action = 'changed'"
    )
    [(request_id, new)] = at.run_as("service", told)
    assert request_id == "manage.py correct_patient"
    assert new["full_name_or_id"] == "Akosua Mensah"


def excess(cursor):
    cursor.execute(EXCESS_OF_ROLE, {"kept": list(KEPT_TABLES)})
    _, *may = cursor.fetchone()
    return {what for (what, _), so in zip(EXCESS, may, strict=True) if so}


def test_the_start_has_nothing_to_warn_of(working):
    at, databases = working
    for database in databases:
        with closing(psycopg2.connect(at.url_of("service", database))) as session:
            assert excess(session.cursor()) == set()
        with closing(psycopg2.connect(at.url_of("owner", database))) as session:
            assert {"owns tables", "makes temporary tables"} <= excess(session.cursor())


def test_the_start_warns_of_each_right_too_many(working):
    assert [what for what, _ in EXCESS] == list(TOO_MUCH)
    at, _ = working
    with closing(psycopg2.connect(at.server.url)) as session, session.cursor() as cursor:
        for what, given in TOO_MUCH.items():
            cursor.execute(given)
            cursor.execute("SET LOCAL ROLE service")
            assert what in excess(cursor)
            session.rollback()


def test_what_is_kept_from_the_role_is_all_that_it_cannot_write(working):
    at, databases = working
    for database in databases:
        rows = at.run_as(
            "service",
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
            " AND NOT has_table_privilege(oid, 'INSERT, UPDATE, DELETE')",
            database=database,
        )
        assert {name for (name,) in rows} == set(KEPT_TABLES)


def test_the_role_that_serves_does_the_main_job(at, tmp_path):
    at.make_roles()
    at.server.manage("migrate", "--verbosity=0", url=at.url_of("owner"))
    facility = ["Korle Laboratory", "--admin-name=Efua Asante", f"--admin-phone={EFUA}"]
    at.server.manage("create_facility", *facility, input=PASSWORD, url=at.url_of("service"))
    with (
        (tmp_path / "log").open("wb") as log,
        serving(log, DATABASE_URL=at.url_of("service")) as address,
    ):
        assert main_job(address) == PRACTITIONERS * REFERRALS_OF_EACH
    at.server.manage("purge_expired", url=at.url_of("service"))
    at.server.manage("set_session_defaults", url=at.url_of("service"))
    at.server.manage("show_connections", url=at.url_of("service"))

    # For the version before, whose triggers write as whoever makes the change.
    at.server.manage("migrate", "medics", "0008", "--verbosity=0", url=at.url_of("owner"))
    at.run_as("service", "UPDATE medics_facility SET name = 'Ridge'")
    told = "SELECT new FROM medics_history ORDER BY changed_at DESC LIMIT 1"
    assert at.run_as("service", told) == [({"name": "Ridge"},)]


def test_what_one_role_owned_before_is_given_to_the_owner(at):
    server, make_roles, run_as = at.server, at.make_roles, at.run_as
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


def test_no_password_is_left_in_the_statistics_or_the_log():
    tells_all = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track": "all",
        "log_statement": "all",
        "log_min_duration_statement": "0",
    }
    statistics = "SELECT array_agg(query)::text FROM pg_stat_statements"
    with running_server(**tells_all) as at:
        at.make_roles()
        # As an earlier version of the script did it.
        at.server.query(f"ALTER ROLE owner PASSWORD '{OWNER_PASSWORD}'")
        assert OWNER_PASSWORD in at.run_as("service", statistics)[0][0]

        at.make_roles()

        [(kept,)] = at.run_as("service", statistics)
        log = (at.server.var / "postgres" / "server.log").read_text()
    assert OWNER_PASSWORD not in kept
    assert SERVICE_PASSWORD not in kept
    # One line is of the earlier version.
    assert (log.count(OWNER_PASSWORD), log.count(SERVICE_PASSWORD)) == (1, 0)
