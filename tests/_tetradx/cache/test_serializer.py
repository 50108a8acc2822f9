"""A value is made once while the cache has it, and each time while the cache is away."""

import logging
import time

import pytest
from django.core.cache import cache
from django.test import override_settings

from _tetradx.cache.circuit_breaker import redis_breaker
from _tetradx.cache.serializer import cached
from tests.support.caches import AwayCache, FullCache, backend


@pytest.fixture(autouse=True)
def _a_cache_of_its_own():
    with override_settings(
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "LOCATION": __name__,
            }
        }
    ):
        cache.clear()
        yield


@pytest.fixture
def made():
    """What was made so far; `made.append` stands for the work of making."""
    return []


def maker(made, value):
    def make():
        made.append(value)
        return value

    return make


@pytest.mark.parametrize("value", [[{"id": 1, "name": "Osu"}], [], "", 0, False, {}])
def test_a_value_is_made_once(made, value):
    assert cached("key", maker(made, value)) == value
    assert cached("key", maker(made, "another")) == value
    assert made == [value]


def test_each_key_has_a_value_of_its_own(made):
    assert cached("one", maker(made, 1)) == 1
    assert cached("two", maker(made, 2)) == 2
    assert cached("one", maker(made, 3)) == 1
    assert made == [1, 2]


def test_what_cannot_be_made_is_not_kept(made):
    def fail():
        raise ValueError("of the maker")

    with pytest.raises(ValueError, match="of the maker"):
        cached("key", fail)
    assert cached("key", maker(made, 1)) == 1


@pytest.mark.parametrize("cache_class", [AwayCache, FullCache])
def test_without_a_cache_it_is_made_each_time(made, cache_class):
    with backend(cache_class):
        assert cached("key", maker(made, 1)) == 1
        assert cached("key", maker(made, 2)) == 2
    assert made == [1, 2]


@pytest.mark.parametrize("cache_class", [AwayCache, FullCache])
def test_a_cache_that_is_away_is_logged_without_the_value(made, caplog, cache_class):
    with backend(cache_class), caplog.at_level(logging.WARNING, "tetradx.cache"):
        cached("key", maker(made, "Akosua Mensah"))
    [record] = caplog.records
    assert record.name == "tetradx.cache"
    assert record.levelname == "WARNING"
    assert record.exc_info
    assert "Akosua" not in caplog.text


@pytest.mark.parametrize("cache_class", [AwayCache, FullCache])
def test_what_making_raises_is_raised_without_a_cache_too(cache_class):
    def fail():
        raise ValueError("of the maker")

    with backend(cache_class), pytest.raises(ValueError, match="of the maker"):
        cached("key", fail)


def test_a_cache_that_is_away_is_left_alone_for_a_while(made, monkeypatch):
    asked = []
    monkeypatch.setattr(AwayCache, "get", lambda *_: asked.append(1) or 1 / 0)
    with backend(AwayCache):
        for value in (1, 2, 3):
            assert cached("key", maker(made, value)) == value
        assert len(asked) == 1
        redis_breaker.closes_at = time.monotonic()
        cached("key", maker(made, 4))
    assert len(asked) == 2
