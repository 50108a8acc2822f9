from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any

from django.db import connection, transaction


def at_once(call: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    """What `call` returns for each argument, all called together on connections of their own.

    Needs `django_db(transaction=True)`: the threads see only what is committed.
    """
    arguments = list(arguments)
    start = Barrier(len(arguments), timeout=30)

    def run(argument: Any) -> Any:
        connection.ensure_connection()
        try:
            start.wait()
            return call(argument)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(run, arguments))


def while_open(first: Callable[[], Any], then: Callable[[], Any]) -> Any:
    """What `then` returns when it is called before the transaction of `first` commits.

    That is after `then` waits for a lock of the transaction, or has returned without.
    """

    def run() -> Any:
        try:
            return then()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic(), connection.cursor() as cursor:
            first()
            second = thread.submit(run)
            waits = False
            while not waits and not second.done():
                sleep(0.01)
                cursor.execute(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
                    " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
                )
                [waits] = cursor.fetchone()
        return second.result()
