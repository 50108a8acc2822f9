"""Whether the database has room for all of this server's connections."""

import logging

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
