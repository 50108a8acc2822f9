"""Which spelling of a password is compared."""

from _tetradx.values.normal_forms import normalized

SAME_PASSWORD = "The new password must differ from the current one."  # noqa: S105 (a sentence)


def as_compared(password: str) -> str:
    """In NFKC: one keyboard sends é as one character, another as e with an accent after it."""
    return normalized("NFKC", password)


def spellings_to_check(password: str) -> list[str]:
    """The one that is compared; and the typed one where it differs, for hashes of before."""
    return list(dict.fromkeys([as_compared(password), password]))


def is_same_password(one: str, other: str) -> bool:
    return as_compared(one) == as_compared(other)
