"""The client's address behind proxies."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings


def client_address(environ: Mapping[str, str]) -> str:
    """The nearest address that is not a trusted proxy (settings.TRUSTED_PROXIES).

    Each proxy appends the address that it was called from to X-Forwarded-For. So the hops are read
    from the end, and only as long as a trusted proxy names the next one: anything before that is
    the client's own claim.
    """
    address = environ.get("REMOTE_ADDR", "")
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while hops and is_trusted_proxy(address):
        hop = address_of(hops.pop())
        if hop is None:
            break
        address = str(hop)
    return address


# A hop as a proxy may write it: with a port, an IPv6 address then in brackets.
HOP = re.compile(r"(?P<v4>[0-9.]+)(:[0-9]{1,5})?|\[(?P<v6>[^\]]+)\](:[0-9]{1,5})?|(?P<bare>.+)")


def address_of(hop: str) -> IPv4Address | IPv6Address | None:
    """Parses a hop; None where it is not an address.

    The port is dropped, and so is a scope id ("%eth0"), which could hold any text, such as a forged
    field of a log line.
    """
    match = HOP.fullmatch(hop.strip())
    if not match:
        return None
    address, _, _ = (match["v4"] or match["v6"] or match["bare"]).partition("%")
    try:
        return ip_address(address)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def is_trusted_proxy(address: str) -> bool:
    parsed = address_of(address)
    return parsed is not None and any(
        parsed in ip_network(trusted, strict=False) for trusted in settings.TRUSTED_PROXIES
    )
