"""Who changes rows, told to the database along with each change, for its history to keep.

The same message that carries a change sets `tetradx.user_id` and `tetradx.request_id` for its
transaction alone: no statement more, and nothing that a session of a pool would keep.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

CHANGES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b")


class Origin(Protocol):
    """Where changes come from. Both stand in SQL as they are: no quotes, no percent signs."""

    @property
    def id(self) -> str:
        """Of the request; `manage.py NAME` for a command."""

    @property
    def user_id(self) -> str | None: ...


class Command(NamedTuple):
    id: str
    user_id: None = None

    @classmethod
    def named_by(cls, arguments: list[str]) -> "Command":
        """The command of sys.argv. A request's id has no space, and so cannot pass for one."""
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
    """With the current origin before it, where it begins with INSERT, UPDATE or DELETE.

    A change that begins otherwise (WITH, SELECT of a function) has the origin of the one before
    it in its transaction, if any.
    """
    origin = current_origin.get()
    if origin is None or not isinstance(sql, str) or not CHANGES.match(sql):
        return sql
    return (
        f"SELECT set_config('tetradx.user_id', '{origin.user_id or ''}', true),"
        f" set_config('tetradx.request_id', '{origin.id}', true); {sql}"
    )
