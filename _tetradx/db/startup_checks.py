"""Warnings at the start: too few connections for the workers, and a role with too many rights."""

import logging

from django.conf import settings
from django.db import Error, OperationalError, connection

log = logging.getLogger("tetradx.database")


def warn_of_too_few(*, wanted: int) -> None:
    """Logs a warning where workers x threads may need more connections than the database allows.

    The connection is closed again: all workers would share one that was opened before the fork.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            (free,) = cursor.fetchone()
    except Error as error:
        log.warning("The database does not answer yet: %s", type(error).__name__)
        return
    finally:
        connection.close()
    if wanted > free:
        log.warning(
            "%d workers x threads want as many database connections, and the database lets in %d:"
            " lower GUNICORN_WORKERS or GUNICORN_THREADS, or raise its max_connections.",
            wanted,
            free,
        )


# The tables that only triggers and migrations write, as deploy/postgres/init.sh sets it up.
KEPT_TABLES = (
    "medics_change",
    "medics_statuschange",
    "medics_referralcount",
    "medics_cataloguechange",
    "django_migrations",
    "django_content_type",
    "auth_permission",
)

# The rights that the role that serves requests must not have, each with its condition on the row
# `me` of pg_roles. With any of these it could bypass the history.
EXCESS = (
    ("is a superuser", "rolsuper"),
    ("makes roles or databases", "rolcreaterole OR rolcreatedb"),
    ("replicates, or passes by row security", "rolreplication OR rolbypassrls"),
    (
        "belongs to other roles",
        "EXISTS (SELECT FROM pg_auth_members JOIN pg_roles granted ON granted.oid = roleid"
        " WHERE member = me.oid AND granted.rolname <> 'pg_read_all_stats')",
    ),
    (
        "owns tables",
        "EXISTS (SELECT FROM pg_class WHERE relkind IN ('r', 'p', 'v')"
        " AND relnamespace = 'public'::regnamespace AND pg_has_role(relowner, 'USAGE'))",
    ),
    (
        "owns functions",
        "EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND pg_has_role(proowner, 'USAGE'))",
    ),
    ("makes temporary tables", "has_database_privilege(current_database(), 'TEMPORARY')"),
    ("makes schemas", "has_database_privilege(current_database(), 'CREATE')"),
    ("makes tables", "has_schema_privilege('public', 'CREATE')"),
    (
        "empties tables, or hangs triggers on them",
        "EXISTS (SELECT FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = 'public'::regnamespace"
        " AND has_table_privilege(oid, 'TRUNCATE, TRIGGER, REFERENCES'))",
    ),
    (
        "writes what triggers and migrations alone write",
        "EXISTS (SELECT FROM pg_class WHERE relname = ANY (%(kept)s)"
        " AND relnamespace = 'public'::regnamespace"
        " AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE'))",
    ),
    (
        "keeps large objects",
        "has_function_privilege('pg_catalog.lo_creat(integer)', 'EXECUTE')"
        " OR has_function_privilege('pg_catalog.lo_create(oid)', 'EXECUTE')"
        " OR has_function_privilege('pg_catalog.lo_from_bytea(oid, bytea)', 'EXECUTE')",
    ),
    (
        "switches triggers off",
        "has_parameter_privilege('session_replication_role', 'SET')",
    ),
)

CONDITIONS = ", ".join(f"({condition})" for _, condition in EXCESS)
EXCESS_OF_ROLE = f"SELECT rolname, {CONDITIONS} FROM pg_roles me WHERE rolname = current_user"  # noqa: S608


def warn_of_rights() -> None:
    """Logs a warning, in production, where the role that serves requests has too many rights.

    In other environments one role does everything. The connection is closed again, as above.
    """
    if not settings.PRODUCTION:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(EXCESS_OF_ROLE, {"kept": list(KEPT_TABLES)})
            role, *may = cursor.fetchone()
    except OperationalError:
        # warn_of_too_few has logged that the database does not answer.
        return
    except Error as error:
        log.warning("What the role may do could not be asked: %s", type(error).__name__)
        return
    finally:
        connection.close()
    if any(may):
        log.warning(
            "The role that serves requests, %s, may do more than it should: it %s."
            " docs/operations.md has its rights, and `make roles` sets them.",
            role,
            "; ".join(what for (what, _), so in zip(EXCESS, may, strict=True) if so),
        )
