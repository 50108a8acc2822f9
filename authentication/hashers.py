"""How passwords are hashed, and what it costs to check one.

A worker hashes one password at a time, whatever the algorithm, so that a dozen logins at once
neither fill the memory nor take every processor from the lists.
"""

import threading
from typing import Any

from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    PBKDF2PasswordHasher,
    get_hasher,
    identify_hasher,
    make_password,
)

TURN = threading.Lock()


class OneAtATimeArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's least parameters: 19 MiB, two passes, one lane."""

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with TURN:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with TURN:
            return super().verify(password, encoded)


class OneAtATimePBKDF2Hasher(PBKDF2PasswordHasher):
    """Of older hashes, several times as slow; `verify` encodes."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with TURN:
            return super().encode(password, salt, iterations)


def spend_the_rest(password: str, *, encoded: str | None, costliest_older: str | None) -> None:
    """To be called when `password` was checked against `encoded`, or hashed where that is None.

    Afterwards it has cost one hash of today and one as `costliest_older`, whichever `encoded` is:
    else the time of an answer would tell who has an older hash, and so who is registered. Nothing
    is spent where nobody has one.
    """
    if costliest_older is None:
        return
    older: Any = identify_hasher(costliest_older)
    if older.algorithm == get_hasher().algorithm:
        return
    if encoded is not None and encoded.startswith(f"{older.algorithm}$"):
        own, costliest = older.decode(encoded), older.decode(costliest_older)
        missing = costliest["iterations"] - own["iterations"]
        if missing > 0:
            older.encode(password, own["salt"], missing)
        make_password(password)
    else:
        older.verify(password, costliest_older)
