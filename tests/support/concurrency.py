"""Runs code at the same time, on connections of its own.

Needs `django_db(transaction=True)`: another connection only sees what is committed.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any

from django.db import connection, transaction


def at_once(call: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    """Call `call` with each argument, all at the same moment; return the results in order."""
    arguments = list(arguments)
    start = Barrier(len(arguments), timeout=30)

    def run(argument: Any) -> Any:
        connection.ensure_connection()
        start.wait()
        return call(argument)

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(lambda argument: and_disconnect(lambda: run(argument)), arguments))


def on_another_connection(call: Callable[[], Any]) -> Any:
    """Return what `call` returns in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(and_disconnect, call).result()


def while_open(first: Callable[[], Any], then: Callable[[], Any]) -> Any:
    """Return what `then` returns when it is called before the transaction of `first` commits.

    The commit comes once `then` waits for a lock of the transaction, or has returned.
    """
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            first()
            second = thread.submit(and_disconnect, then)
            while not second.done() and not somebody_waits_for_this_transaction():
                sleep(0.01)
        return second.result()


def somebody_waits_for_this_transaction() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return cursor.fetchone()[0]


def and_disconnect(call: Callable[[], Any]) -> Any:
    """Return what `call` returns, and close the connection of its thread."""
    try:
        return call()
    finally:
        connection.close()
