"""Caches that fail as Redis does."""

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings


class AwayCache(BaseCache):
    """Fails as Redis does when no server listens."""

    def __init__(self, location, params):
        super().__init__(params)

    def get(self, *args, **kwargs):
        raise ConnectionError("nobody listens")

    def set(self, *args, **kwargs):
        raise ConnectionError("nobody listens")


class FullCache(LocMemCache):
    """Fails as Redis does when it is out of memory, or a replica: it answers but stores nothing."""

    def set(self, *args, **kwargs):
        raise ConnectionError("OOM command not allowed when used memory > 'maxmemory'")


def backend(cache_class):
    """Have Django use the cache within the block."""
    path = f"{cache_class.__module__}.{cache_class.__qualname__}"
    return override_settings(CACHES={"default": {"BACKEND": path, "LOCATION": path}})
