from contextlib import AbstractContextManager
from typing import NamedTuple

from _tetradx.db.audit_context import changes_come_from


class Said(NamedTuple):
    user_id: str | None
    id: str


def changes_by(user) -> AbstractContextManager[None]:
    """What changes in the block is put down to the user, as in a request."""
    return changes_come_from(Said(user_id=str(user.pk), id=f"by-{user.pk}"))
