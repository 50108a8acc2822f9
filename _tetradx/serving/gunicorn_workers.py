"""gunicorn's threaded worker, whose threads here wait for no client."""

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

# What a client has to send a request, and to close its side of a connection after the last answer.
RECEIVE_SECONDS = 10
# Of each request that has yet to come: a worker may have a thousand of them in memory. What a
# larger body lacks is read by the thread.
COLLECTED_BYTES = 64 * 1024

# What says where a body ends.
FRAMING = re.compile(
    rb"\r\n(content-length|transfer-encoding):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
LENGTH = re.compile(rb"[0-9]{1,19}")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")
# Sends its body once it is told to.
EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class BufferingWorker(ThreadWorker):
    """Collects requests in the main loop, and gives a thread those that are there.

    gunicorn's own worker reads a request in the thread that answers it, for as long as the client
    takes. So as many slow clients as there are threads, or as many silent ones every five seconds,
    keep everybody else out; and its main loop waits for clients that do not close their side.
    """

    def enqueue_req(self, conn: TConn) -> None:
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = Collected(conn.sock)
            conn.parser.mesg_class = ReceivedRequest
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + RECEIVE_SECONDS
        if self.is_collected(conn):
            self.hand_over(conn)
        else:
            self.watch(conn, self.on_more)

    def on_more(self, conn: TConn, _: socket.socket) -> None:
        if self.is_collected(conn):
            self.unwatch(conn)
            self.hand_over(conn)

    def is_collected(self, conn: TConn) -> bool:
        """Whether a thread need not wait for what it reads first, once this has read on."""
        collected = conn.parser.unreader
        return collected.is_whole() or not collected.read_on() or collected.is_whole()

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
        """Closes our side, and the connection once the client has closed its own.

        A client that is still sending would not hear the answer otherwise (RFC 9112, 9.6).
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
        """Until `conn.timeout`, when gunicorn closes what is pending.

        It looks at the oldest first, and all of ours have the same time.
        """
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(on_readable, conn))

    def unwatch(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)


class ReceivedRequest(Request):
    """Says that the connection closes where the answer comes before the body has.

    What follows on it would be the rest of that body. gunicorn would promise to keep it, wait with
    a thread for the rest, and close it all the same where that is long.
    """

    def should_close(self) -> bool:
        return super().should_close() or self.is_unread()

    def is_unread(self) -> bool:
        reader = self.body.reader
        if isinstance(reader, LengthReader):
            return reader.length > len(self.unreader.buf.getvalue())
        # A chunked body has no end before it is read.
        return reader.parser is not None


class Collected(SocketUnreader):
    """What has come of a connection's next request; gunicorn's parser reads it."""

    give_up_at = math.inf
    # Where the next chunk of a chunked body begins, as far as it has come.
    next_chunk_at: int | None = None

    def read_on(self) -> bool:
        """False where no more will come. To be called in the main loop, which does not wait."""
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
        # Two of them are refused, and nothing of what follows is read.
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
        """Whether a chunked body has its end, or is none: then nothing is worth waiting for.

        Goes on where it stopped before, since a chunk may have a single byte (RFC 9112, 7.1).
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
        """What else a thread needs. Raises TimeoutError, which becomes a 400."""
        self.sock.settimeout(max(self.give_up_at - time.monotonic(), 0.001))
        try:
            return super().chunk(size_hint)
        finally:
            self.sock.settimeout(None)
