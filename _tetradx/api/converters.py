"""Path converters: a value that can be no id of ours arrives in the view as None.

The contract gives such a path the answer of an unknown id, not a 404 of the router; and
`filter(id=None)` finds nothing without asking the database.
"""

import re

BIGINT_MAX = 2**63 - 1


class RowIdConverter:
    regex = "[^/]+"

    def to_python(self, value: str) -> int | None:
        if not re.fullmatch("[0-9]{1,19}", value):
            return None
        number = int(value)
        return number if number <= BIGINT_MAX else None

    def to_url(self, value: object) -> str:
        return str(value)


class ReferralIdConverter:
    regex = "[^/]+"

    def to_python(self, value: str) -> str | None:
        return value if re.fullmatch("[A-Z0-9]{10}", value) else None

    def to_url(self, value: object) -> str:
        return str(value)
