import pytest

from _tetradx.http.client_address import client_address, is_trusted_proxy


@pytest.fixture(autouse=True)
def proxies(settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1", "172.16.0.0/12"]
    is_trusted_proxy.cache_clear()
    yield
    is_trusted_proxy.cache_clear()


@pytest.mark.parametrize(
    ("nearest", "forwarded_for", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        # No proxy of ours: what it claims is nobody's word.
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("172.18.0.5", "198.51.100.1, 172.18.0.4", "198.51.100.1"),
        # The first hops are the client's own invention.
        ("172.18.0.5", "10.9.9.9, 198.51.100.1", "198.51.100.1"),
        ("172.18.0.5", "172.18.0.4", "172.18.0.4"),
        ("172.18.0.5", "rubbish", "172.18.0.5"),
        ("172.18.0.5", "198.51.100.1, rubbish\nline", "172.18.0.5"),
        ("172.18.0.5", "", "172.18.0.5"),
        ("172.18.0.5", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.1", ""),
        # With a port, in brackets, with a scope id, in another spelling.
        ("172.18.0.5", "1.2.3.4:555", "1.2.3.4"),
        ("172.18.0.5", "9.9.9.9, 1.2.3.4:555, 172.18.0.4:80", "1.2.3.4"),
        ("172.18.0.5", "[2001:db8::1]:443", "2001:db8::1"),
        ("172.18.0.5", "[2001:db8::1]", "2001:db8::1"),
        ("172.18.0.5", "2001:DB8:0::1", "2001:db8::1"),
        ("172.18.0.5", "fe80::1%eth0 status=200", "fe80::1"),
        ("172.18.0.5", "fe80::1%", "fe80::1"),
        ("172.18.0.5", "[fe80::1%eth0 status=200]:443", "fe80::1"),
        ("172.18.0.5", "fe80::1%eth0\nline", "172.18.0.5"),
        ("172.18.0.5", "1.2.3.4:", "172.18.0.5"),
        ("172.18.0.5", "1.2.3.4:x", "172.18.0.5"),
        ("172.18.0.5", "1.2.3.4:555 status=200", "172.18.0.5"),
        ("172.18.0.5", "[1.2.3.4]:555]", "172.18.0.5"),
        ("172.18.0.5", "2001:db8::1]:443", "172.18.0.5"),
        ("172.18.0.5", "01.2.3.4", "172.18.0.5"),
        ("172.18.0.5", "unknown", "172.18.0.5"),
        ("172.18.0.5", "_hidden:555", "172.18.0.5"),
    ],
)
def test_the_client_is_the_nearest_that_is_no_proxy_of_ours(nearest, forwarded_for, client):
    environ = {"REMOTE_ADDR": nearest, "HTTP_X_FORWARDED_FOR": forwarded_for}
    assert client_address(environ) == client
