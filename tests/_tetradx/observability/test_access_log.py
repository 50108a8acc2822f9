"""One line for each request, by gunicorn, with what Django alone knows."""

import http.client
import json
import re
import socket

import pytest
from django.urls import reverse

from authentication.services import open_session
from tests.support.service import serving

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/medics/referrals/practitioner"


def send(address, method, path, **headers):
    client = http.client.HTTPConnection(*address, timeout=30)
    client.request(method, path, headers=headers)
    answer = client.getresponse()
    body = answer.read()
    client.close()
    return answer.status, len(body)


def bearer(user) -> dict[str, str]:
    return {"Authorization": f"Bearer {open_session(user=user).access_token}"}


def access_lines(log) -> list[str]:
    return [line for line in log.read_text().splitlines() if "gunicorn.access" in line]


@pytest.mark.parametrize("letter", ["%C3%A9", "%D9%A1", "%F0%9F%98%80"])
def test_a_path_in_any_script_has_its_line(tmp_path, letter):
    log = tmp_path / "log"
    with log.open("wb") as output, serving(output) as address:
        status, _ = send(address, "GET", f"/api/medics/facilities/{letter}/branches")

    [line] = access_lines(log)
    assert status == 200
    assert f" GET /api/medics/facilities/{letter}/branches status=200 " in line
    assert "Traceback" not in log.read_text()


def test_a_line_says_whose_request_it_was_and_what_it_cost(ama, tmp_path):
    log = tmp_path / "log"
    headers = {**bearer(ama), "X-Request-ID": "ama-1"}
    with log.open("wb") as output, serving(output) as address:
        status, size = send(address, "GET", f"{LIST}?search_query=x", **headers)

    [line] = access_lines(log)
    assert status == 200
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO gunicorn\.access"
        r" request_id=ama-1/[0-9a-f]{32}"
        rf" GET {LIST} status=200 ms=\d+\.\d sql_ms=\d+\.\d queries=3 user_id={ama.pk}"
        rf" bytes={size} address=127\.0\.0\.1",
        line,
    )


def test_for_machines_it_is_an_object(ama, tmp_path):
    log = tmp_path / "log"
    headers = {**bearer(ama), "X-Request-ID": "ama-1"}
    with log.open("wb") as output, serving(output, LOG_FORMAT="json") as address:
        _, size = send(address, "GET", LIST, **headers)
        send(address, "GET", "/api/nothing")

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first, second = (line for line in lines if line["logger"] == "gunicorn.access")
    assert {key: first[key] for key in ("method", "path", "status", "queries", "bytes")} == {
        "method": "GET",
        "path": LIST,
        "status": 200,
        "queries": 2,
        "bytes": size,
    }
    assert re.fullmatch("ama-1/[0-9a-f]{32}", first["request_id"])
    assert first["user_id"] == str(ama.pk)
    assert 0 < first["sql_ms"] < first["ms"]
    assert second["user_id"] is None
    assert any(line["logger"] == "gunicorn.error" and line["level"] == "INFO" for line in lines)


def test_nobody_is_named_where_nobody_signed_in_and_django_was_not_asked(tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as output, serving(output) as address:
        send(address, "GET", reverse("medics:get-facilities"))
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET / HTTP/9.9\r\n\r\n")
            connection.recv(1000)

    [line] = access_lines(log)
    assert " user_id=- " in line


def test_the_client_is_named_and_not_the_proxy(tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as output, serving(output) as address:
        send(address, "GET", "/api/nothing", **{"X-Forwarded-For": "10.9.9.9, 198.51.100.7"})

    [line] = access_lines(log)
    assert line.endswith(" address=198.51.100.7")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_proxy_hands_on_a_field_of_the_client_s(tmp_path, log_format):
    log = tmp_path / "log"
    headers = {
        "X-Forwarded-For": "fe80::1%eth0 status=200 user_id=1",
        "X-Request-ID": "a status=200",
    }
    with log.open("wb") as output, serving(output, LOG_FORMAT=log_format) as address:
        send(address, "GET", "/api/nothing%20status=200", **headers)

    [line] = access_lines(log)
    if log_format == "json":
        told = json.loads(line)
        assert (told["address"], told["status"], told["user_id"]) == ("fe80::1", 404, None)
        assert re.fullmatch("[0-9a-f]{32}", told["request_id"])
    else:
        assert line.endswith(" address=fe80::1")
        assert re.findall(r" (status|user_id|request_id)=(\S+)", line)[1:] == [
            ("status", "404"),
            ("user_id", "-"),
        ]
