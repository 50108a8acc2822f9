from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from _tetradx.origin import current_origin

from ..models import Action, Change


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

    `row_id` is left out where it was done to many.
    """
    origin = current_origin.get()
    table = model._meta.db_table
    Change.objects.create(
        changed_at=timezone.now(),
        changed_by_id=origin.user_id if origin else None,
        request_id=origin.id if origin else "",
        action=action,
        row_table=table,
        row_id=row_id,
        subject_table=table,
        subject_id=row_id,
        new=what,
    )
