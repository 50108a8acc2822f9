"""Rate limits on what needs no session: guessing a password or a code, and registering.

DRF's throttles count in a cache by reading and writing, which concurrent attempts get around, and
only know windows. Here an attempt is counted before the password is checked, by one atomic step
that all workers share: a script in Redis where REDIS_URL is set, else a function of the database
(migration 0008), which also counts while Redis is away. So a lost cache neither locks people out
nor lets anybody guess.
"""

import hashlib
import hmac
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from functools import cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Protocol, TypeVar

import redis
from django.conf import settings
from django.db import connection
from rest_framework.exceptions import Throttled

from _tetradx.cache.circuit_breaker import redis_breaker

from .phone_numbers import phone_key

log = logging.getLogger("authentication.throttles")


@dataclass(frozen=True)
class Rule:
    """A rate limit with exponential backoff.

    `free` attempts are allowed in a window of `window_seconds` that begins with the first. Each
    further attempt makes the next one wait: `first_wait_seconds`, then twice as long each time, up
    to `longest_wait_seconds`.

    The wait is longer by `step_aside_seconds` for each attempt, up to five, that is counted under
    the first limit of the same list: whoever has made fewer attempts comes first.
    """

    free: int
    window_seconds: int
    first_wait_seconds: int
    longest_wait_seconds: int
    step_aside_seconds: int = 0


GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS = Rule(5, 3600, 1, 900)
# From many addresses: one attempt a minute is still allowed, first to addresses that made none.
GUESSES_AT_A_NUMBER = Rule(50, 3600, 60, 60, step_aside_seconds=10)
# A hospital shares one address.
GUESSES_FROM_AN_ADDRESS = Rule(300, 600, 600, 600)
REGISTRATIONS_FROM_AN_ADDRESS = Rule(300, 3600, 3600, 3600)

Limits = list[tuple[str, Rule]]
Answer = TypeVar("Answer")


def limits_of_login(*, phone_number: str, address: str, is_known: bool = False) -> Limits:
    """The limits of a login, in the order in which their rows are locked.

    Limits that few attempts share come first. `is_known` says that the owner of the number has
    logged in from the address before: guesses from elsewhere do not count there.
    """
    number, network = phone_key(phone_number), network_of(address)
    limits = [
        (key("login", number, network), GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS),
        (key("login from", network), GUESSES_FROM_AN_ADDRESS),
    ]
    return limits if is_known else [*limits, (key("login to", number), GUESSES_AT_A_NUMBER)]


def limits_of_second_factor(*, user_id: str, address: str) -> Limits:
    """The limits of a code, which are counted apart from those of the password."""
    network = network_of(address)
    return [
        (key("code", user_id, network), GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS),
        (key("code from", network), GUESSES_FROM_AN_ADDRESS),
        (key("code of", user_id), GUESSES_AT_A_NUMBER),
    ]


def limits_of_registration(*, address: str) -> Limits:
    return [(key("register from", network_of(address)), REGISTRATIONS_FROM_AN_ADDRESS)]


def known_address_key(*, phone_number: str, address: str) -> str:
    return key("known", phone_key(phone_number), network_of(address))


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one.

    A /64 is the least that a subscriber gets.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def key(*parts: str) -> str:
    """A keyed hash, so that the store does not reveal the number or the address."""
    text = "\0".join(parts).encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()


def count_attempt(limits: Limits) -> None:
    """Counts an attempt under each limit. Raises Throttled, and counts nothing, at a limit."""
    wait_seconds = in_store(lambda store: store.count(limits))
    if wait_seconds > 0:
        raise Throttled(math.ceil(wait_seconds))


def refund_attempt(limits: Limits) -> None:
    """Takes back an attempt that succeeded.

    Clears the count under the first limit, and lowers the others by one.
    """
    names = [name for name, _ in limits]
    in_store(lambda store: store.refund(names))


class Store(Protocol):
    def count(self, limits: Limits) -> float:
        """Counts an attempt; returns the seconds to wait instead, 0 where it was counted."""
        ...

    def refund(self, names: list[str]) -> None:
        """Clears the count under the first name, and lowers the others by one."""
        ...


class DatabaseStore:
    def count(self, limits: Limits) -> float:
        names, rules = zip(*limits, strict=True)
        columns = [list(column) for column in zip(*map(astuple, rules), strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT authentication_take_a_try(%s, %s, %s, %s, %s, %s)", [list(names), *columns]
            )
            return cursor.fetchone()[0]

    def refund(self, names: list[str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT authentication_give_a_try_back(%s)", [names])


# The same as authentication_take_a_try of migration 0008. KEYS: the names; ARGV: the rules, one
# after the other.
COUNT = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1e6
local wait, states = 0, {}
for i, name in ipairs(KEYS) do
    local state = redis.call('HMGET', name, 'number', 'expires_at', 'next_at')
    local number, expires_at, next_at = unpack(state)
    local free = tonumber(ARGV[5 * i - 4])
    if not expires_at or tonumber(expires_at) <= now then
        number, expires_at, next_at = 0, now + ARGV[5 * i - 3], now
    end
    states[i] = {tonumber(number), tonumber(expires_at), tonumber(next_at)}
    local turn = states[i][3] + math.min(states[1][1], 5) * ARGV[5 * i]
    if states[i][1] >= free and turn > now then
        wait = math.max(wait, turn - now)
    end
end
if wait > 0 then
    return tostring(wait)
end
for i, name in ipairs(KEYS) do
    local number, expires_at, next_at = unpack(states[i])
    number = number + 1
    local over = number - ARGV[5 * i - 4]
    if over >= 0 then
        next_at = now + math.min(ARGV[5 * i - 2] * 2 ^ math.min(over, 30), ARGV[5 * i - 1])
    end
    redis.call('HSET', name, 'number', number, 'expires_at', expires_at, 'next_at', next_at)
    redis.call('EXPIRE', name, math.ceil(expires_at - now))
end
return '0'
"""

REFUND = """
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do
    if tonumber(redis.call('HGET', KEYS[i], 'number') or 0) > 0 then
        redis.call('HINCRBY', KEYS[i], 'number', -1)
    end
end
"""


class RedisStore:
    def __init__(self, client: redis.Redis):
        self.count_script = client.register_script(COUNT)
        self.refund_script = client.register_script(REFUND)

    def count(self, limits: Limits) -> float:
        names = self.named(name for name, _ in limits)
        arguments = [value for _, rule in limits for value in astuple(rule)]
        return float(self.count_script(keys=names, args=arguments))

    def refund(self, names: list[str]) -> None:
        self.refund_script(keys=self.named(names))

    @staticmethod
    def named(names: Iterable[str]) -> list[str]:
        return [f"tetradx:try:{name}" for name in names]


@cache
def redis_store(url: str) -> RedisStore:
    return RedisStore(redis.Redis.from_url(url, **settings.REDIS_TIMEOUTS))


def in_store(ask: Callable[[Store], Answer]) -> Answer:
    """Asks Redis where it is configured and reachable, else the database."""
    if settings.REDIS_URL and not redis_breaker.is_open:
        try:
            return ask(redis_store(settings.REDIS_URL))
        except redis.RedisError as error:
            redis_breaker.open()
            log.warning("Redis is away, the database counts: %s", type(error).__name__)
    return ask(DatabaseStore())
