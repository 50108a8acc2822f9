"""Which spelling of a password is compared."""

from _tetradx.values.normal_forms import normalized

SAME_PASSWORD = "The new password must differ from the current one."  # noqa: S105 (a sentence)


def as_compared(password: str) -> str:
    """Returns the password in NFKC: keyboards send é as one character, or as e and an accent."""
    return normalized("NFKC", password)


def spellings_to_check(password: str) -> list[str]:
    """The compared spelling, and the typed one where it differs, for older hashes."""
    return list(dict.fromkeys([as_compared(password), password]))


def is_same_password(one: str, other: str) -> bool:
    return as_compared(one) == as_compared(other)
