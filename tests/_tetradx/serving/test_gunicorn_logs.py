import http.client
import re
import socket

import pytest

from tests.support.service import serving

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_client_writes_into_the_log(tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as file, serving(output=file) as address:
        client = http.client.HTTPConnection(*address, timeout=10)
        client.request("GET", "/api/x%0a%5bT%5d%20access%20GET%20/FORGED%00?search_query=AKOSUA1")
        assert client.getresponse().status == 404
        client.close()
        for line in (
            b"GET /api/medics/facilities?search_query=a AKOSUA2 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /api/x?search_query=AKOSUA3\r\n\r\n",
        ):
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(line)
                assert b"400" in connection.recv(1000)

    text = log.read_bytes().decode()
    assert "AKOSUA" not in text
    assert "\x00" not in text
    assert re.search(r" GET /api/x%0A%5BT%5D%20access%20GET%20/FORGED%00 status=404", text)
    assert len(re.findall("Invalid request from ip=127.0.0.1: Invalid", text)) == 2
