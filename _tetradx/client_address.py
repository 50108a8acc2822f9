"""Who the client is, where proxies stand between."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network

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
        hop = hops.pop().strip()
        if not is_address(hop):
            break
        address = hop
    return address


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def is_trusted_proxy(address: str) -> bool:
    return is_address(address) and any(
        ip_address(address) in ip_network(trusted, strict=False)
        for trusted in settings.TRUSTED_PROXIES
    )
