"""Sends the database, with each change, the user and the request that it comes from.

The history stores them. The message that carries the change also sets `tetradx.user_id` and
`tetradx.request_id`, for its transaction only: without another round trip, and without a value that
a pooled session would keep.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

CHANGES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b")


class Origin(Protocol):
    """Where changes come from. Both values go into SQL unescaped: no quotes, no percent signs."""

    @property
    def id(self) -> str:
        """The id of the request; `manage.py NAME` for a command."""

    @property
    def user_id(self) -> str | None:
        """The id of the signed-in user, if any."""


class Command(NamedTuple):
    id: str
    user_id: None = None

    @classmethod
    def named_by(cls, arguments: list[str]) -> "Command":
        """Reads the command of sys.argv. The space in its id tells it from the id of a request."""
        name = arguments[1] if len(arguments) > 1 else ""
        return cls(f"manage.py {re.sub('[^a-z_]', '', name)}")


current_origin: ContextVar[Origin | None] = ContextVar("current_origin", default=None)


@contextmanager
def changes_come_from(origin: Origin) -> Iterator[None]:
    token = current_origin.set(origin)
    try:
        yield
    finally:
        current_origin.reset(token)


def with_origin(sql: Any) -> Any:
    """Prepends the current origin to SQL that begins with INSERT, UPDATE or DELETE.

    A change that begins otherwise (WITH, SELECT of a function) gets the origin of the change before
    it in its transaction, if any.
    """
    origin = current_origin.get()
    if origin is None or not isinstance(sql, str) or not CHANGES.match(sql):
        return sql
    return (
        f"SELECT set_config('tetradx.user_id', '{origin.user_id or ''}', true),"
        f" set_config('tetradx.request_id', '{origin.id}', true); {sql}"
    )
