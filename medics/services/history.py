from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from psycopg2.extras import Json

from _tetradx.db.audit_context import current_origin

from ..models import Action


@contextmanager
def forgetting() -> Iterator[None]:
    """A transaction in which the history's rows can be deleted, by the owner of its tables alone.

    What is deleted in it leaves no line in the history, either.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL tetradx.forgetting = on")
        yield
        cursor.execute("SET LOCAL tetradx.forgetting = off")


def write_down(action: Action, model: type[Model], row_id: str = "", **what: Any) -> None:
    """A line that no trigger writes: what somebody did to the data by a command.

    `row_id` is left out where it was done to many. Raises ProgrammingError where the role of the
    database does not own the history, of whatever is no export.
    """
    origin = current_origin.get()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT medics_write_down(%s, %s, %s, %s, %s, %s)",
            [
                action.value,
                origin.user_id if origin else None,
                origin.id if origin else "",
                model._meta.db_table,
                row_id,
                Json(what),
            ],
        )
