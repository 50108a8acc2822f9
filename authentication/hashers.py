import threading

from django.contrib.auth.hashers import Argon2PasswordHasher


class OneAtATimeArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's least parameters: 19 MiB, two passes, one lane.

    A worker hashes one password at a time, so that a dozen logins at once neither fill the memory
    nor take every processor from the lists.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    _turn = threading.Lock()

    def encode(self, password: str, salt: str) -> str:
        with self._turn:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with self._turn:
            return super().verify(password, encoded)
