from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def forgetting() -> Iterator[None]:
    """A transaction in which the history's rows can be deleted, by the owner of its tables alone.

    What is deleted in it leaves no line in the history, either.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL tetradx.forgetting = on")
        yield
        cursor.execute("SET LOCAL tetradx.forgetting = off")
