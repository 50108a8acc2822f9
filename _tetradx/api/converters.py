"""Path converters: a value that cannot be an id of this service arrives in the view as None.

The contract gives such a path the answer of an unknown id, not a 404 of the router; and
`filter(id=None)` finds nothing without asking the database.
"""

import re

from django.db.models import BigIntegerField


class RowIdConverter:
    regex = "[^/]+"

    def to_python(self, value: str) -> int | None:
        if not re.fullmatch("[0-9]{1,19}", value):
            return None
        number = int(value)
        return number if number <= BigIntegerField.MAX_BIGINT else None

    def to_url(self, value: object) -> str:
        return str(value)
