"""A worker's threads wait for no client, however many are slow, silent or send too much."""

import http.client
import json
import socket
import time
from contextlib import ExitStack, closing

import pytest

from _tetradx.gunicorn_workers import COLLECTED_BYTES, Collected
from tests.served import serving

# More than all threads of the server below.
SLOW_CLIENTS = 6
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LOGIN = b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    log = tmp_path_factory.mktemp("served") / "log"
    # Nothing of what is asked here needs the database.
    variables = {"DATABASE_URL": "postgres://127.0.0.1:1/none", "GUNICORN_WORKERS": "1"}
    with log.open("wb") as output, serving(output, GUNICORN_THREADS="2", **variables) as address:
        yield address


@pytest.fixture
def connect(address):
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(address, timeout=5))


def answer_on(connection, method="GET"):
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nX-Slow: ",
        LOGIN + b"Content-Length: 100\r\n\r\n{",
        HEALTHZ + b"Connection: close\r\n\r\n",
    ],
    ids=["silent", "in the headers", "in the body", "with an answer that they do not read"],
)
def test_others_are_answered_while_clients_are(connect, sent):
    for _ in range(SLOW_CLIENTS):
        connect().sendall(sent)
    other = connect()
    other.sendall(HEALTHZ + b"\r\n")

    assert answer_on(other)[0] == 200


def test_a_request_that_comes_in_pieces_is_answered(connect):
    connection = connect()
    for piece in (HEALTHZ[:10], HEALTHZ[10:], b"\r", b"\n"):
        connection.sendall(piece)
        time.sleep(0.05)

    assert answer_on(connection)[0] == 200


def test_a_connection_is_kept_for_the_next_request(connect):
    connection = connect()
    for _ in range(3):
        connection.sendall(HEALTHZ + b"\r\n")
        assert answer_on(connection)[0] == 200


def test_requests_that_come_together_are_answered_in_turn(connect):
    connection = connect()
    connection.sendall((HEALTHZ + b"\r\n") * 2 + HEALTHZ.replace(b"healthz", b"none") + b"\r\n")
    answers = b""
    while b" 404 " not in answers:
        answers += connection.recv(65536)

    assert answers.count(b" 200 OK") == 2


def test_a_client_that_asks_first_is_told_to_go_on(connect):
    connection = connect()
    connection.sendall(LOGIN + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
    connection.sendall(b"{}")

    assert answer_on(connection, "POST")[0] == 400


def test_a_body_that_is_larger_than_what_is_collected_is_read(connect):
    connection = connect()
    body = json.dumps({"phone_number": "0" * 2 * COLLECTED_BYTES}).encode()
    connection.sendall(LOGIN + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status, answer = answer_on(connection, "POST")

    assert status == 400
    assert answer["detail"].keys() == {"password"}


@pytest.mark.parametrize("megabytes", [2, 20])
def test_whoever_sends_too_much_still_hears_that_it_is_too_much(address, megabytes):
    body = bytes(megabytes * 1024 * 1024)
    with closing(http.client.HTTPConnection(*address, timeout=10)) as connection:
        connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
        response = connection.getresponse()

        assert response.status == 413
        assert json.loads(response.read())["code"] == "413"


@pytest.fixture
def pair():
    ours, clients = socket.socketpair()
    with ours, clients:
        ours.setblocking(False)
        yield Collected(ours), clients


@pytest.mark.parametrize(
    ("sent", "is_whole"),
    [
        (b"", False),
        (HEALTHZ, False),
        (HEALTHZ + b"\r\n", True),
        (LOGIN + b"content-length: 3\r\n\r\n{}", False),
        (LOGIN + b"CONTENT-LENGTH:2\r\n\r\n{}", True),
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", True),
        (LOGIN + b"Content-Length: 9999999\r\n\r\n{}", False),
        (LOGIN + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * COLLECTED_BYTES, True),
    ],
)
def test_what_is_worth_a_thread(pair, sent, is_whole):
    collected, client = pair
    client.sendall(sent)
    while collected.read_on() and len(collected.buf.getvalue()) < len(sent):
        pass

    assert collected.is_whole() is is_whole


def test_a_client_that_has_gone_is_not_waited_for(pair):
    collected, client = pair
    client.close()

    assert collected.read_on() is False


def test_a_thread_does_not_wait_for_the_rest_of_a_body_for_ever(pair):
    collected, _ = pair
    collected.give_up_at = time.monotonic()

    with pytest.raises(TimeoutError):
        collected.read(10)
