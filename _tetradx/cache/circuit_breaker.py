import time


class CircuitBreaker:
    """Spares the requests of this process a wait for what has just given no answer.

    For those that can do without. A Redis that hangs would cost each of them REDIS_TIMEOUTS.
    """

    def __init__(self, pause_seconds: float):
        self.pause_seconds = pause_seconds
        self.closes_at = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.closes_at

    def open(self) -> None:
        self.closes_at = time.monotonic() + self.pause_seconds

    def close(self) -> None:
        self.closes_at = 0.0


redis_breaker = CircuitBreaker(pause_seconds=5)
