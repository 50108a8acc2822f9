"""How passwords are hashed, and what a check of one costs.

A worker hashes one password at a time, whatever the algorithm, so that a dozen concurrent logins
neither fill the memory nor occupy every processor.
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

HASHING = threading.Lock()


class OneAtATimeArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's minimum parameters: 19 MiB, two passes, one lane."""

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with HASHING:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with HASHING:
            return super().verify(password, encoded)


class OneAtATimePBKDF2Hasher(PBKDF2PasswordHasher):
    """PBKDF2, for older hashes, which takes several times as long; `verify` calls `encode`."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with HASHING:
            return super().encode(password, salt, iterations)


def spend_the_rest(password: str, *, encoded: str | None, costliest_older: str | None) -> None:
    """Evens out the time of a refused login.

    Call it once `password` was checked against `encoded`, or hashed where that is None. Together
    they then cost one current hash and one like `costliest_older`, whatever `encoded` is. Otherwise
    the time of an answer would tell who has an older hash, and so who is registered. It costs
    nothing where no user has an older hash.
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
