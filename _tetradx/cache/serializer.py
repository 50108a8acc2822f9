import logging
from collections.abc import Callable
from typing import TypeVar

import orjson
from django.core.cache import cache

from .circuit_breaker import redis_breaker

log = logging.getLogger("tetradx.cache")

Value = TypeVar("Value")


class JSONSerializer:
    """In the place of Django's, which unpickles what it finds: whoever could write into Redis could
    have the service run anything."""

    def dumps(self, value: object) -> bytes:
        return orjson.dumps(value)

    def loads(self, data: bytes) -> object:
        """Raises ValueError for what is no JSON."""
        return orjson.loads(data)


def cached(key: str, make: Callable[[], Value]) -> Value:
    """What the cache has under `key`, else what `make` gives, which may raise.

    A cache that is away makes the service slower and nothing else.
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
