"""Who the client is, where proxies stand between."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings


def client_address(environ: Mapping[str, str]) -> str:
    """The nearest address that is none of our proxies (settings.TRUSTED_PROXIES).

    Each proxy adds whom it heard from at the end of X-Forwarded-For, so the hops are read from the
    end, and only as long as it is a trusted proxy that names the next: what stands before that is
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


# As a proxy may write whom it heard from: with a port, an IPv6 address then in brackets.
HOP = re.compile(r"(?P<v4>[0-9.]+)(:[0-9]{1,5})?|\[(?P<v6>[^\]]+)\](:[0-9]{1,5})?|(?P<bare>.+)")


def address_of(hop: str) -> IPv4Address | IPv6Address | None:
    """None where it names none.

    Without its port, and without a scope id ("%eth0"), which could hold anything, a field of a line
    of the log for one.
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
