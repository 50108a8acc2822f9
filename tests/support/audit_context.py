"""Changes made by a user outside a request."""

from contextlib import AbstractContextManager
from typing import NamedTuple

from _tetradx.db.audit_context import changes_come_from


class Origin(NamedTuple):
    user_id: str | None
    id: str


def changes_by(user) -> AbstractContextManager[None]:
    """Record the user as the author of every change in the block, as a request does."""
    return changes_come_from(Origin(user_id=str(user.pk), id=f"by-{user.pk}"))
