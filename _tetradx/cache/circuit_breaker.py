import time


class CircuitBreaker:
    """Spares the requests of this process the timeout of a service that has just failed.

    It is for requests that can do without the service. While Redis hangs, each of them would wait
    for REDIS_TIMEOUTS.
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
