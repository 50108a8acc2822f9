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

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

# What a client has to send a request, and to close its side of a connection after the last answer.
RECEIVE_SECONDS = 10
# Of each request that has yet to come: a worker may have a thousand of them in memory. What a
# larger body lacks is read by the thread.
COLLECTED_BYTES = 64 * 1024

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,19})", re.IGNORECASE)
# Sends its body once it is told to.
EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class PatientWorker(ThreadWorker):
    """Collects requests in the main loop, and gives a thread those that are there.

    gunicorn's own worker reads a request in the thread that answers it, for as long as the client
    takes. So as many slow clients as there are threads, or as many silent ones every five seconds,
    keep everybody else out; and its main loop waits for clients that do not close their side.
    """

    def enqueue_req(self, conn: TConn) -> None:
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = Collected(conn.sock)
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


class Collected(SocketUnreader):
    """What has come of a connection's next request; gunicorn's parser reads it."""

    give_up_at = math.inf

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
        length = LENGTH.search(data, 0, end)
        if not length or EXPECTS.search(data, 0, end):
            return True
        return len(data) - (end + 4) >= min(int(length[1]), COLLECTED_BYTES)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """What else a thread needs. Raises TimeoutError, which becomes a 400."""
        self.sock.settimeout(max(self.give_up_at - time.monotonic(), 0.001))
        try:
            return super().chunk(size_hint)
        finally:
            self.sock.settimeout(None)
