"""Statements with a deadline, for callers that must notice in time that the database is frozen."""

import select
import time
from contextlib import closing
from typing import Any

import psycopg2
from django.db import connection
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

EVENTS = {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}


def rows_within(seconds: float, *statements: str) -> list[list[tuple]]:
    """Returns the rows of each statement, over a connection of its own.

    A persistent connection waits for as long as the server is frozen, whatever its timeouts. The
    class of this one is psycopg2's: an asynchronous connection exists before the server is reached,
    and would make `connections.Connection` believe that the database answers.
    Raises TimeoutError or psycopg2.Error.
    """
    deadline = time.monotonic() + seconds
    parameters: dict[str, Any] = {
        **connection.get_connection_params(),
        "connection_factory": psycopg2.extensions.connection,
        "cursor_factory": psycopg2.extensions.cursor,
    }
    answers = []
    with closing(psycopg2.connect(**parameters, async_=True)) as own:
        wait_for(own, deadline)
        cursor = own.cursor()
        for statement in statements:
            cursor.execute(statement)
            wait_for(own, deadline)
            answers.append(cursor.fetchall())
    return answers


def wait_for(own: Any, deadline: float) -> None:
    """Waits until the asynchronous connection is idle. Raises TimeoutError."""
    while (state := own.poll()) != POLL_OK:
        ready = select.poll()
        ready.register(own.fileno(), EVENTS[state])
        if not ready.poll(max(0, deadline - time.monotonic()) * 1000):
            raise TimeoutError("The database gave no answer in time.")
