"""Ports of 127.0.0.1."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def free_port() -> int:
    """Return a port at which no process listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_opened(port: int, *, by: subprocess.Popen, seconds: float) -> bool:
    """Wait until the process `by` listens at the port; return whether it does.

    Stop waiting after `seconds`, or as soon as the process has ended.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and by.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


@contextmanager
def silent(port: int) -> Iterator[None]:
    """Answer no connection to the port, as if the database's machine were gone. Linux only."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        # Once the listener's queue is full, the kernel drops every request for a connection.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield
