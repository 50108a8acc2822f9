from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import connections

# From this version on, collations do not depend on the operating system (authentication's migration
# 0004).
OLDEST_POSTGRESQL = 170000

KEY = "hashtextextended('django_migrations', 0)"


class Command(migrate.Command):
    help = f"{migrate.Command.help} One at a time: a second one waits until the first has ended."

    def handle(self, *args: Any, **options: Any) -> None:
        connection: Any = connections[options["database"]]
        if connection.pg_version < OLDEST_POSTGRESQL:
            raise CommandError("PostgreSQL 17 or newer is needed.")
        with self.alone(options["database"]):
            super().handle(*args, **options)

    @contextmanager
    def alone(self, database: str) -> Iterator[None]:
        """Holds an advisory lock of the session, which is released with the session in any case."""
        with connections[database].cursor() as cursor:
            # An index of a large table, and the wait for another migrate, may take longer than a
            # request's statement may.
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(f"SELECT pg_try_advisory_lock({KEY})")
            if cursor.fetchone() == (False,):
                self.stdout.write("Another migrate is at work; waiting for it.")
                cursor.execute("SET lock_timeout = 0")
                cursor.execute(f"SELECT pg_advisory_lock({KEY})")
                # A migration waits for a table no longer than a request does: all requests would
                # have to queue up behind it.
                cursor.execute("RESET lock_timeout")
            try:
                yield
            finally:
                cursor.execute(f"SELECT pg_advisory_unlock({KEY})")
                cursor.execute("RESET statement_timeout")
