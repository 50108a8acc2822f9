import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

from _tetradx.db.audit_context import with_origin

# A refused connection fails immediately. A slower failure means that no host answered.
SLOW_SECONDS = 0.5
PAUSE_SECONDS = 1.0


class Connection(connection):
    """psycopg2's connection, for threads that do not queue up at an unreachable database.

    Where no host answers, an attempt lasts for DB_CONNECT_TIMEOUT_S, or until the resolver gives
    up, and soon all threads would wait in one. So after an attempt that failed slowly, only one
    thread tries again, now and then, and the attempts of the others fail immediately.
    Raises psycopg2.OperationalError.
    """

    # Where the last attempt of this process failed slowly: when to try again (time.monotonic).
    next_attempt_at: float | None = None
    single = threading.Lock()

    def __init__(self, *args, **kwargs):
        if Connection.next_attempt_at is None:
            self.attempt(*args, **kwargs)
        elif self.single.acquire(blocking=False):
            try:
                if time.monotonic() < (Connection.next_attempt_at or 0):
                    raise psycopg2.OperationalError("out of reach a moment ago")
                self.attempt(*args, **kwargs)
            finally:
                self.single.release()
        else:
            raise psycopg2.OperationalError("out of reach; another thread tries")

    def attempt(self, *args, **kwargs):
        start = time.monotonic()
        try:
            super().__init__(*args, **kwargs)
        except psycopg2.OperationalError:
            end = time.monotonic()
            slow = end - start >= SLOW_SECONDS
            Connection.next_attempt_at = end + PAUSE_SECONDS if slow else None
            raise
        Connection.next_attempt_at = None

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        waiting[threading.get_ident()] = self, time.monotonic()
        try:
            yield
        finally:
            del waiting[threading.get_ident()]

    def commit(self):
        with self.waited_for():
            super().commit()

    def rollback(self):
        with self.waited_for():
            super().rollback()

    def shut_down(self) -> None:
        """Ends another thread's wait for the database, which then raises OperationalError there."""
        with socket.socket(fileno=os.dup(self.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)


class Cursor(cursor):
    """psycopg2's cursor, which registers each wait, and sends the origin with each change."""

    def execute(self, sql: Any, values: Any = None) -> None:
        with self.connection.waited_for():
            super().execute(with_origin(sql), values)

    def executemany(self, sql: Any, rows: Any) -> None:
        with self.connection.waited_for():
            super().executemany(with_origin(sql), rows)


# By id, each thread of this process that waits for the database: its connection, and since when
# (time.monotonic).
waiting: dict[int, tuple[Connection, float]] = {}
