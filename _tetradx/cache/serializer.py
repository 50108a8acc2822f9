import logging
from collections.abc import Callable
from typing import TypeVar

import orjson
from django.core.cache import cache

from .circuit_breaker import redis_breaker

log = logging.getLogger("tetradx.cache")

Value = TypeVar("Value")


class JSONSerializer:
    """Replaces Django's serializer, which unpickles.

    Whoever can write into Redis could have the service run any code by a pickle.
    """

    def dumps(self, value: object) -> bytes:
        return orjson.dumps(value)

    def loads(self, data: bytes) -> object:
        """Raises ValueError for data that is not JSON."""
        return orjson.loads(data)


def cached(key: str, make: Callable[[], Value]) -> Value:
    """Returns the value under `key` in the cache, else what `make` returns; `make` may raise.

    Without the cache the service is slower, and that is all.
    """
    if redis_breaker.is_open:
        return make()
    try:
        value = cache.get(key)
    except Exception:
        redis_breaker.open()
        log.warning("The cache is away", exc_info=True)
        return make()
    if value is None:
        value = make()
        try:
            cache.set(key, value)
        except Exception:
            log.warning("The cache takes nothing", exc_info=True)
    return value
