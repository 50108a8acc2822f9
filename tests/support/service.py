"""Runs the service: gunicorn with its configuration, on the test's own database."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from django.conf import settings

from benchmarks.without_limits import WITHOUT_LIMITS
from tests.support.database import database_url
from tests.support.ports import free_port, is_opened


@contextmanager
def serving(
    output: IO[bytes] | int = subprocess.PIPE, **variables: str
) -> Iterator[tuple[str, int]]:
    """Run gunicorn until the block ends; yield its host and port. Its log goes to `output`.

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
        if not is_opened(port, by=server, seconds=30):
            server.kill()
            output_so_far, _ = server.communicate()
            raise AssertionError(f"gunicorn did not start:\n{(output_so_far or b'').decode()}")
        yield host, port
    finally:
        server.terminate()
        server.communicate(timeout=60)
