"""A worker's threads wait for no client, however many are slow, silent or send too much."""

import http.client
import json
import socket
import time
import zlib
from contextlib import ExitStack, closing, suppress

import pytest

from _tetradx.serving.gunicorn_workers import COLLECTED_BYTES, Collected
from tests.support.service import serving

# More than all threads of the server below.
SLOW_CLIENTS = 6
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LOGIN = b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("served") / "log"


@pytest.fixture(scope="module")
def address(log):
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
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
        HEALTHZ + b"Connection: close\r\n\r\n",
    ],
    ids=[
        *("silent", "in the headers", "in the body", "in the chunks", "in the trailers"),
        "with an answer that they do not read",
    ],
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
        assert response.headers["Connection"] == "close"
        assert json.loads(response.read())["code"] == "413"


def chunks(*parts, trailers=b""):
    sized = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join([*sized, b"0\r\n", trailers, b"\r\n"])


def chunked_login(*parts, trailers=b"", path=b"/api/auth/login", expect=b""):
    head = LOGIN.replace(b"/api/auth/login", path) + expect
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(*parts, trailers=trailers)


# A body that was read is told from none by what it lacks.
NAMED, NONE = {"password"}, {"phone_number", "password"}


@pytest.mark.parametrize(
    ("sent", "lacks"),
    [
        (chunked_login(b'{"phone_number": "1"}'), NAMED),
        (chunked_login(b'{"phone_', b'number"', b': "1"}'), NAMED),
        (chunked_login(b'{"phone_number": "1"}', trailers=b"X-Sum: 1\r\n"), NAMED),
        (chunked_login(b'{"phone_number": "%b"}' % (b"0" * 2 * COLLECTED_BYTES)), NAMED),
        (chunked_login(*[b"%c" % letter for letter in b'{"phone_number": "1"}']), NAMED),
        (chunked_login(b"{}"), NONE),
        (
            chunked_login(b'{"phone_number": "1"}').replace(
                b"chunked\r\n\r\n15\r\n", b'Chunked \r\n\r\n0015;a="b\\"c" ; d\r\n'
            ),
            NAMED,
        ),
    ],
)
def test_a_chunked_body_is_read(connect, sent, lacks):
    connection = connect()
    # In two pieces, and twice: nothing of the first is left over.
    for _ in range(2):
        for piece in (sent[:-9], sent[-9:]):
            connection.sendall(piece)
            time.sleep(0.05)
        status, answer = answer_on(connection, "POST")
        assert status == 400
        assert answer["detail"].keys() == lacks


def test_a_client_that_asks_first_may_send_chunks(connect):
    connection = connect()
    head, _, body = chunked_login(b"{}", expect=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
    connection.sendall(body)

    assert answer_on(connection, "POST")[0] == 400


def test_a_form_of_the_admin_site_may_come_in_chunks(connect):
    connection = connect()
    form = b"username=0244000001&password=x"
    sent = chunked_login(form, path=b"/admin/login/")
    connection.sendall(sent.replace(b"application/json", b"application/x-www-form-urlencoded"))
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()

    # Read, and then refused for its lack of a token against forgery.
    assert response.status == 403
    assert response.headers["Connection"] == "keep-alive"


@pytest.mark.parametrize("path", [b"/api/auth/login", b"/admin/login/", b"/api/nothing"])
@pytest.mark.parametrize("chunk_bytes", [1000, 2 * 1024 * 1024])
def test_chunks_beyond_the_limit_are_too_much(connect, path, chunk_bytes):
    connection = connect()
    body = [bytes(chunk_bytes)] * (3 * 1024 * 1024 // chunk_bytes)
    connection.sendall(chunked_login(*body, path=path))
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()

    assert response.status == 413
    assert response.headers["Connection"] == "close"


def test_chunks_that_end_too_early_are_told_so(connect):
    connection = connect()
    connection.sendall(chunked_login(b"{}")[:-5])
    connection.shutdown(socket.SHUT_WR)

    status, answer = answer_on(connection, "POST")
    assert status == 400
    assert answer["detail"] == "The request ended before its body did."


def refused(*headers, body=b"", head=LOGIN):
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


JSON_BODY = b'{"phone_number": "1"}'
LENGTH_OF_IT = b"Content-Length: 21"
IN_CHUNKS = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("sent", "status", "has_access_line"),
    [
        # What says twice, or not at all, where the body ends.
        (refused(LENGTH_OF_IT, LENGTH_OF_IT, body=JSON_BODY), 400, True),
        (refused(LENGTH_OF_IT, LENGTH_OF_IT), 400, True),
        (refused(LENGTH_OF_IT, b"Content-Length: 20", body=JSON_BODY), 400, True),
        (refused(b"Content-Length:"), 400, True),
        (refused(b"Content-Length: -1"), 400, True),
        (refused(b"Content-Length: +21", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: 21, 21", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: 2 1", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: 0x15", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: 1_0", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: \xb2", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: many", body=JSON_BODY), 400, True),
        (refused(b"Content-Length: " + b"9" * 5000), 400, True),
        (refused(LENGTH_OF_IT, IN_CHUNKS, body=JSON_BODY), 400, True),
        (refused(IN_CHUNKS, LENGTH_OF_IT, body=chunks(JSON_BODY)), 400, True),
        (refused(IN_CHUNKS, IN_CHUNKS, body=chunks(JSON_BODY)), 400, True),
        (refused(b"Transfer-Encoding: chunked, chunked", body=chunks(JSON_BODY)), 400, True),
        (refused(b"Transfer-Encoding: chunked, identity", body=chunks(JSON_BODY)), 400, True),
        (refused(b"Transfer-Encoding: identity", body=JSON_BODY), 400, True),
        (refused(b"Transfer-Encoding: gzip", body=JSON_BODY), 400, True),
        (refused(b"Transfer-Encoding: xchunked", body=chunks(JSON_BODY)), 501, False),
        (refused(b"Transfer-Encoding: \x0bchunked", body=chunks(JSON_BODY)), 400, False),
        (refused(b"Transfer-Encoding : chunked", body=chunks(JSON_BODY)), 400, False),
        (refused(IN_CHUNKS, head=LOGIN.replace(b"1.1", b"1.0"), body=chunks(b"{}")), 400, True),
        # Chunks that are none: the service itself says so.
        (refused(IN_CHUNKS, body=JSON_BODY + b"\r\n"), 400, True),
        (refused(IN_CHUNKS, body=b"-2\r\n{}\r\n0\r\n\r\n"), 400, True),
        (refused(IN_CHUNKS, body=b"0x2\r\n{}\r\n0\r\n\r\n"), 400, True),
        (refused(IN_CHUNKS, body=b"2_0\r\n{}\r\n0\r\n\r\n"), 400, True),
        (refused(IN_CHUNKS, body=b"\r\n{}\r\n0\r\n\r\n"), 400, True),
        (refused(IN_CHUNKS, body=b"2\r\n{}}\r\n0\r\n\r\n"), 400, True),
        (refused(IN_CHUNKS, body=b"2;\rx\r\n{}\r\n0\r\n\r\n"), 400, True),
        (refused(IN_CHUNKS, body=chunks(b"{}", trailers=b"Content-Length: 5\r\n")), 400, True),
        # Lines that are none of a request.
        (b"nonsense\r\n\r\n", 400, False),
        (b"GET\r\n\r\n", 400, False),
        (b"GET /healthz\r\n\r\n", 400, False),
        (b"GET /health z HTTP/1.1\r\n\r\n", 400, False),
        (b"get /healthz HTTP/1.1\r\n\r\n", 400, False),
        (b"GET /\x7f HTTP/1.1\r\n\r\n", 400, False),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400, False),
        (b"GET /healthz HTTP/2.0\r\n\r\n", 400, False),
        (b"GET /healthz HTTP/1.1 \r\n\r\n", 400, False),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414, False),
        # Headers that are none.
        (refused(b"no colon", head=HEALTHZ), 400, False),
        (refused(b": empty", head=HEALTHZ), 400, False),
        (refused(b"X Y: z", head=HEALTHZ), 400, False),
        (refused(b"X: a\x00b", head=HEALTHZ), 400, False),
        (refused(b"X: a", b" folded", head=HEALTHZ), 400, False),
        (refused(b"Host: evil.example", head=HEALTHZ), 400, True),
        (refused(b"X: " + b"a" * 9000, head=HEALTHZ), 431, False),
        (refused(*[b"X: a"] * 70, head=HEALTHZ), 431, False),
        (refused(b"Expect: wonders", head=HEALTHZ), 417, False),
    ],
)
def test_a_request_that_cannot_be_read_is_answered(connect, log, sent, status, has_access_line):
    # Of this case alone, for the log.
    path = b"/api/case-%d" % zlib.crc32(sent)
    connection = connect()
    connection.sendall(sent.replace(b"/api/auth/login", path).replace(b"/healthz", path))
    # What follows must not pass for a request of its own.
    with suppress(ConnectionError):
        connection.sendall(b"GET /api/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    response.read()

    assert response.status == status
    assert response.headers["Connection"] == "close"
    with suppress(ConnectionResetError):
        assert connection.recv(1000) == b""
    logged = log.read_text()
    lines = [line for line in logged.splitlines() if path.decode() in line]
    assert sum("gunicorn.access" in line for line in lines) == has_access_line
    assert all(f" status={status} " in line for line in lines if "gunicorn.access" in line)
    assert "smuggled" not in logged
    assert "Traceback" not in logged


@pytest.mark.parametrize("path", ["/api/nothing", "/healthz", "/api/auth/login"])
def test_whoever_is_answered_before_all_was_read_is_told_that_no_more_is(connect, path):
    """For a body that ends where it says the connection is kept, whoever leaves it unread."""
    connection = connect()
    head = LOGIN.replace(b"/api/auth/login", path.encode()).replace(b"json", b"xml")
    for length, kept in [(1000, "keep-alive"), (900_000, "close")]:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % length + bytes(length))
        response = http.client.HTTPResponse(connection, method="POST")
        response.begin()
        response.read()
        assert response.status in {404, 405, 415}
        assert response.headers["Connection"] == kept


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
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", False),
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n3\r\n0\r\n\r\n", False),
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", False),
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\nrubbish\r\n", True),
        (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 12_000, True),
        (LOGIN + b"Transfer-Encoding: gzip\r\n\r\n", True),
        (LOGIN + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n", True),
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
