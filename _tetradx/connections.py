"""Whether the database has room for all connections and what its role may do."""

import logging

from django.conf import settings
from django.db import Error, connection

log = logging.getLogger("tetradx.database")


def warn_of_too_few(*, wanted: int) -> None:
    """Compares the connections that workers x threads may hold with what the database lets in.

    Nothing of it is kept open: a connection from before the fork would be shared by all workers.
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


TABLES_OWNED = """
    SELECT current_user, count(*) FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
        AND pg_has_role(relowner, 'USAGE')
"""


def tell_of_owned_tables() -> None:
    """Logs where the role that serves requests could change the schema: a warning in production.

    Nothing of it is kept open, as above.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(TABLES_OWNED)
            role, tables = cursor.fetchone()
    except Error:
        # That it does not answer has been said.
        return
    finally:
        connection.close()
    if tables:
        log.log(
            logging.WARNING if settings.PRODUCTION else logging.INFO,
            "The role that serves requests, %s, owns %d tables, so it could change them:"
            " docs/operations.md has how another one migrates.",
            role,
            tables,
        )
