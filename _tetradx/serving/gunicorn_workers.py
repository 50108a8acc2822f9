"""gunicorn's threaded worker, with threads that never wait for a client."""

import io
import math
import re
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

# The time that a client has to send a request, and to close its side after the last answer.
RECEIVE_SECONDS = 10
# The part of a request that the main loop collects: a worker may hold a thousand of them in memory.
# The thread reads the rest of a larger body.
COLLECTED_BYTES = 64 * 1024

# The headers that say where a body ends.
FRAMING = re.compile(
    rb"\r\n(content-length|transfer-encoding):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
LENGTH = re.compile(rb"[0-9]{1,19}")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")
# The client sends its body only once it is told to.
EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class BufferingWorker(ThreadWorker):
    """Buffers requests in the main loop, and gives a thread those that have arrived.

    gunicorn's own worker reads a request in the thread that answers it, for as long as the client
    takes. So a slow client for each thread, or a silent one for each thread every five seconds,
    keeps everybody else out; and its main loop waits for clients that do not close their side.
    """

    def enqueue_req(self, conn: TConn) -> None:
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = Collected(conn.sock)
            conn.parser.mesg_class = ReceivedRequest
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + RECEIVE_SECONDS
        if self.collect(conn):
            self.hand_over(conn)
        else:
            self.watch(conn, self.on_more)

    def on_more(self, conn: TConn, _: socket.socket) -> None:
        if self.collect(conn):
            self.unwatch(conn)
            self.hand_over(conn)

    def collect(self, conn: TConn) -> bool:
        """Reads what has arrived, and tells whether a thread can now read without waiting."""
        collected = conn.parser.unreader
        if collected.is_whole():
            return True
        may_have_more = collected.read_on()
        return not may_have_more or collected.is_whole()

    def hand_over(self, conn: TConn) -> None:
        conn.data_ready = True
        conn.parser.unreader.next_chunk_at = None
        conn.parser.unreader.give_up_at = time.monotonic() + RECEIVE_SECONDS
        super().enqueue_req(conn)

    def finish_request(self, conn: TConn, fs: Future) -> None:
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self.say_goodbye(conn)

    def say_goodbye(self, conn: TConn) -> None:
        """Closes the server's side, and the connection once the client has closed its own.

        A client that is still sending would otherwise not get the answer (RFC 9112, 9.6).
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self.close(conn)
            return
        conn.timeout = time.monotonic() + RECEIVE_SECONDS
        self.watch(conn, self.on_leftover)

    def on_leftover(self, conn: TConn, client: socket.socket) -> None:
        try:
            is_more = client.recv(COLLECTED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            is_more = b""
        if not is_more:
            self.unwatch(conn)
            self.close(conn)

    def close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def watch(self, conn: TConn, on_readable: Callable) -> None:
        """Waits for data until `conn.timeout`, when gunicorn closes pending connections.

        gunicorn looks at the oldest first, and all of them have the same timeout.
        """
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(on_readable, conn))

    def unwatch(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)


class ReceivedRequest(Request):
    """Closes the connection where the answer is sent before the whole body has arrived.

    The next bytes on it would be the rest of that body. gunicorn would announce keep-alive, wait
    with a thread for the rest, and still close the connection where the rest is long.
    """

    def should_close(self) -> bool:
        return super().should_close() or self.is_unread()

    def is_unread(self) -> bool:
        reader = self.body.reader
        if isinstance(reader, LengthReader):
            return reader.length > len(self.unreader.buf.getvalue())
        # The end of a chunked body is only known once it has been read.
        return reader.parser is not None


class Collected(SocketUnreader):
    """The buffer of a connection's next request, which gunicorn's parser reads."""

    give_up_at = math.inf
    # The offset at which the next chunk of a chunked body begins.
    next_chunk_at: int | None = None

    def read_on(self) -> bool:
        """Reads without waiting, for the main loop. False where no more data will come."""
        try:
            chunk = self.sock.recv(COLLECTED_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.buf.seek(0, io.SEEK_END)
        self.buf.write(chunk)
        return bool(chunk)

    def is_whole(self) -> bool:
        data = self.buf.getvalue()
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return len(data) >= COLLECTED_BYTES
        framing = FRAMING.findall(data, 0, end + 2)
        # gunicorn refuses a request with two such headers, and reads no body.
        if len(framing) != 1 or EXPECTS.search(data, 0, end):
            return True
        [(_, value)] = framing
        collected = len(data) - (end + 4)
        if value.lower() == b"chunked":
            return collected >= COLLECTED_BYTES or self.has_last_chunk(data, end + 4)
        if LENGTH.fullmatch(value):
            return collected >= min(int(value), COLLECTED_BYTES)
        return True

    def has_last_chunk(self, data: bytes, body_at: int) -> bool:
        """Tells whether the chunked body is complete or malformed: no need to wait for more.

        Continues where the last call stopped, since a chunk may have a single byte (RFC 9112, 7.1).
        """
        at = body_at if self.next_chunk_at is None else self.next_chunk_at
        while (line_end := data.find(b"\r\n", at)) >= 0:
            size = CHUNK_SIZE.match(data, at, line_end)
            if not size:
                return True
            if not int(size[0], 16):
                # Trailers, if any, and an empty line.
                return data.find(b"\r\n\r\n", line_end) >= 0
            at = self.next_chunk_at = line_end + 2 + int(size[0], 16) + 2
        return False

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Reads on in the thread. Raises TimeoutError, which becomes a 400."""
        self.sock.settimeout(max(self.give_up_at - time.monotonic(), 0.001))
        try:
            return super().chunk(size_hint)
        finally:
            self.sock.settimeout(None)
