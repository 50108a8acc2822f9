"""The service as it runs: gunicorn with its configuration, on the test's own database."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from django.conf import settings

from benchmarks.without_limits import WITHOUT_LIMITS
from tests.support.database import database_url
from tests.support.ports import free_port


@contextmanager
def serving(
    output: IO[bytes] | int = subprocess.PIPE, **variables: str
) -> Iterator[tuple[str, int]]:
    """Host and port of a running gunicorn, which ends with the block; `output` gets its log.

    `variables` are set in its environment; DATABASE_URL may name another database than the test's.
    """
    host, port = "127.0.0.1", free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn_config.py", "_tetradx.wsgi"],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            **WITHOUT_LIMITS,
            "DATABASE_URL": variables.pop("DATABASE_URL", "") or database_url(),
            "ENVIRONMENT": "test",
            "HOST": host,
            "PORT": str(port),
            "GUNICORN_WORKERS": "2",
            **variables,
        },
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(server, host, port)
        yield host, port
    finally:
        server.terminate()
        server.communicate(timeout=60)


def wait_for(server: subprocess.Popen, host: str, port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise AssertionError(f"gunicorn did not come up:\n{(server.communicate()[0] or b'').decode()}")
