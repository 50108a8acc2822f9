"""The SQL statements that a test causes."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

TRANSACTION_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield a list, which holds the SQL statements of the block once the block has ended.

    Transaction control is left out: how many savepoints a request takes depends on whether the
    test itself runs inside a transaction.

        with statements() as sent:
            client.get(url)
        assert len(sent) == 4
    """
    sent: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield sent
    sent += [
        query["sql"]
        for query in captured.captured_queries
        if not query["sql"].startswith(TRANSACTION_CONTROL)
    ]
