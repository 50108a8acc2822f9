import logging
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

log = logging.getLogger("tetradx.cache")

Value = TypeVar("Value")


def cached(key: str, make: Callable[[], Value]) -> Value:
    """What the cache has under `key`, else what `make` gives, which may raise.

    A cache that is away makes the service slower and nothing else.
    """
    try:
        value = cache.get(key)
    except Exception:
        log.warning("The cache is away", exc_info=True)
        return make()
    if value is None:
        value = make()
        try:
            cache.set(key, value)
        except Exception:
            log.warning("The cache takes nothing", exc_info=True)
    return value
