"""Limits on what anybody can ask without a password: guessing one, and registering.

DRF's throttles count in a cache by reading and writing, which tries at once get around, and know
windows alone. Here a try is counted before the password is looked at, by one atomic step that all
workers share: a script in Redis where REDIS_URL is set, else a function of the database
(migration 0008), which also steps in while Redis is away. So a lost cache neither locks people out
nor lets anybody guess.
"""

import hashlib
import hmac
import logging
import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, Protocol

import redis
from django.conf import settings
from django.db import connection
from rest_framework.exceptions import Throttled

from _tetradx.cache.circuit_breaker import redis_breaker

from .phone_numbers import phone_key

log = logging.getLogger("authentication.throttles")


@dataclass(frozen=True)
class Rule:
    """So many tries are free in a window that begins with the first; each further one makes the
    next wait, the first time so long and then twice as long each time, up to a longest wait.

    For each try that counts under the first limit of the same try, up to five, the wait is longer
    by `step_aside_seconds`: whoever tried less comes first, however often the others ask.
    """

    free: int
    window_seconds: int
    first_wait_seconds: int
    longest_wait_seconds: int
    step_aside_seconds: int = 0


GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS = Rule(5, 3600, 1, 900)
# From many addresses: there is still a try a minute, and addresses that made none are first.
GUESSES_AT_A_NUMBER = Rule(50, 3600, 60, 60, step_aside_seconds=10)
# A hospital shares one address.
GUESSES_FROM_AN_ADDRESS = Rule(300, 600, 600, 600)
REGISTRATIONS_FROM_AN_ADDRESS = Rule(300, 3600, 3600, 3600)

Limits = list[tuple[str, Rule]]


def limits_of_login(*, phone_number: str, address: str, is_known: bool = False) -> Limits:
    """In the order in which their rows are locked: from many to few that share one.

    `is_known` says that the owner of the number logged in from the address before: what others
    guess from elsewhere does not count there.
    """
    number, network = phone_key(phone_number), network_of(address)
    limits = [
        (key("login", number, network), GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS),
        (key("login from", network), GUESSES_FROM_AN_ADDRESS),
    ]
    return limits if is_known else [*limits, (key("login to", number), GUESSES_AT_A_NUMBER)]


def limits_of_second_factor(*, user_id: str, address: str) -> Limits:
    """Guesses at a code come after the password, and are counted apart from guesses at that."""
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
    """What counts as one address: of IPv6 a /64, which is the least that a subscriber has."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def key(*parts: str) -> str:
    """Tells nobody who reads the store which number or address it is about."""
    text = "\0".join(parts).encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()


def count_attempt(limits: Limits) -> None:
    """Counts it under each limit. Raises Throttled, and counts nothing, where one is reached."""
    wait_seconds = in_store("count", limits)
    if wait_seconds > 0:
        raise Throttled(math.ceil(wait_seconds))


def refund_attempt(limits: Limits) -> None:
    """It was no guess: the first limit is forgotten, the others are as before the try."""
    in_store("refund", [name for name, _ in limits])


class Store(Protocol):
    def count(self, limits: Limits) -> float:
        """Seconds to wait; 0 where the try is counted."""
        ...

    def refund(self, names: list[str]) -> None: ...


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


# As authentication_take_a_try of migration 0008. KEYS: names; ARGV: the rules, one after the other.
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


def in_store(method: str, argument: Any) -> Any:
    if settings.REDIS_URL and not redis_breaker.is_open:
        try:
            return getattr(redis_store(settings.REDIS_URL), method)(argument)
        except redis.RedisError as error:
            redis_breaker.open()
            log.warning("Redis is away, the database counts: %s", type(error).__name__)
    return getattr(DatabaseStore(), method)(argument)
