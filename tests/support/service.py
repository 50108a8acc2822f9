"""The service as it runs: gunicorn with its configuration, on the test's own database."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from benchmarks.without_limits import WITHOUT_LIMITS


def database_url() -> str:
    """Of the database that this test uses."""
    database = connection.settings_dict
    password = database["PASSWORD"]
    login = quote(database["USER"], safe="") + (f":{quote(password, safe='')}" if password else "")
    port = f":{database['PORT']}" if database["PORT"] else ""
    host = database["HOST"] or database["OPTIONS"].get("host", "")
    return f"postgres://{login}@{quote(host, safe='')}{port}/{database['NAME']}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


class Caller:
    """A client of the API."""

    def __init__(self, host: str, port: int):
        self.address = host, port
        self.token: str | None = None

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        payload = None if body is None else json.dumps(body)
        with closing(http.client.HTTPConnection(*self.address, timeout=30)) as connection:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def log_in(self, phone_number: str, password: str) -> None:
        status, answer = self(
            "POST", "/api/auth/login", {"phone_number": phone_number, "password": password}
        )
        assert status == 200, answer
        self.token = answer["data"]["access_token"]
