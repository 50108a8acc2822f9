"""Clients that are slow, idle, or send far too much."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from itertools import repeat
from pathlib import Path

from django.conf import settings

from tests.support.ports import free_port

from .database import FACILITIES
from .stage import Address, Answer, CannotTryError, Outcome, Service, Stage, expect, until

# More than all workers have threads.
SLOW_CLIENTS = 16
SECONDS = 12
PAUSE_SECONDS = 0.05
# For anybody else's answer meanwhile.
WAIT_SECONDS = 5
IDLE_CONNECTIONS = 500
LARGE_BODY_MB = 100
MIB = 1024 * 1024


def connect(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=60)


@contextmanager
def a_byte_a_second(address: Address, start: bytes) -> Iterator[None]:
    """Clients that send `start` at once and the rest byte by byte; who is cut off comes again."""
    ended = threading.Event()
    connections: list[socket.socket] = []

    def begin() -> socket.socket:
        connection = connect(address)
        connection.sendall(start)
        return connection

    def trickle() -> None:
        while not ended.wait(1):
            for number, connection in enumerate(connections):
                try:
                    connection.sendall(b" ")
                except OSError:
                    connection.close()
                    connections[number] = begin()

    connections += [begin() for _ in range(SLOW_CLIENTS)]
    trickling = threading.Thread(target=trickle)
    trickling.start()
    try:
        yield
    finally:
        ended.set()
        trickling.join()
        for connection in connections:
            connection.close()


def answers_meanwhile(service: Service, seconds: float) -> list[Answer]:
    """What a client at its own pace is answered. Raises BrokenPromiseError where it has to wait."""
    end = time.monotonic() + seconds
    answers = []
    while time.monotonic() < end:
        answers.append(service.ask("GET", FACILITIES))
        expect(answers[-1].status == 200, f"others are answered 200, not {answers[-1].status}")
        expect(answers[-1].seconds < WAIT_SECONDS, f"others wait {WAIT_SECONDS} s at most")
        time.sleep(PAUSE_SECONDS)
    return answers


def others(answers: list[Answer]) -> Outcome:
    slowest = max(answer.seconds for answer in answers)
    return Outcome(f"others {len(answers)} x 200, slowest {slowest:.2f} s", "never unwell")


HEADERS = b"POST /api/medics/referral HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
BODY = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n"
)
CLOSING = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def gunicorn_alone(here: Stage) -> AbstractContextManager[Service]:
    return here.service()


@contextmanager
def behind_nginx(here: Stage) -> Iterator[Service]:
    """With the stack's own configuration, on this machine's addresses."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        raise CannotTryError("there is no nginx here (Debian's package: nginx-light)")
    source, port = settings.BASE_DIR / "deploy" / "nginx", free_port()
    with here.service() as service, tempfile.TemporaryDirectory(prefix="tetradx-nginx-") as name:
        folder = Path(name)
        backend = f"{service.address[0]}:{service.address[1]}"
        changes = {
            "/etc/nginx/site": str(folder / "site"),
            "/run/tetradx": str(folder / "conf"),
            "/run/nginx.pid": str(folder / "pid"),
            "/var/cache/nginx": str(folder / "cache"),
            "/dev/stdout": str(folder / "access.log"),
            "/dev/stderr": str(folder / "error.log"),
            "user nginx;": "user nobody nogroup;" if os.geteuid() == 0 else "",
            "server backend:8000": f"server {backend}",
            "listen 80 default_server": f"listen 127.0.0.1:{port} default_server",
        }
        shutil.copytree(source, folder, dirs_exist_ok=True)
        chosen = {"CONF": str(folder / "conf"), "TLS": str(folder / "tls")}
        subprocess.run(
            [source / "choose-listeners.sh"],
            env={
                "PATH": os.environ["PATH"],
                "MAX_BODY_BYTES": str(MIB),
                "EDGE_REQUESTS_AT_ONCE": "300",
                **chosen,
            },
            check=True,
        )
        for file in folder.rglob("*.conf"):
            text = file.read_text()
            for found, put in changes.items():
                text = text.replace(found, put)
            file.write_text(text)
        (folder / "cache").mkdir()
        folder.chmod(0o755)
        command = [program, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        in_front = Service(("127.0.0.1", port), service.log)
        try:
            until(in_front.serves, "nginx serves")
            yield in_front
        finally:
            running.terminate()
            running.wait(timeout=30)


Serving = Callable[[Stage], AbstractContextManager[Service]]


def slow_headers(here: Stage, *, serving: Serving = gunicorn_alone) -> Outcome:
    with serving(here) as service, a_byte_a_second(service.address, HEADERS):
        return others(answers_meanwhile(service, SECONDS))


def slow_bodies(here: Stage, *, serving: Serving = gunicorn_alone) -> Outcome:
    with serving(here) as service, a_byte_a_second(service.address, BODY):
        return others(answers_meanwhile(service, SECONDS))


def idle_connections(here: Stage, *, serving: Serving = gunicorn_alone) -> Outcome:
    with serving(here) as service, ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            stack.enter_context(connect(service.address))
        return others(answers_meanwhile(service, SECONDS))


def connections_left_open(here: Stage, *, serving: Serving = gunicorn_alone) -> Outcome:
    """By clients that asked for them to be closed after the answer."""
    with serving(here) as service, ExitStack() as stack:
        for _ in range(4 * SLOW_CLIENTS):
            stack.enter_context(connect(service.address)).sendall(CLOSING)
        return others(answers_meanwhile(service, SECONDS))


def large_bodies(here: Stage, *, serving: Serving = gunicorn_alone) -> Outcome:
    with serving(here) as service:
        for _ in range(20):
            service.log_in("0244999999")
        before = service.peak_memory_bytes()
        answers = [send_large_body(service.address) for _ in range(3)]
        for answer in answers:
            expect(answer.is_error(413), f"413 in the envelope, not {answer.status}")
        grown = (service.peak_memory_bytes() - before) / MIB
        expect(grown < LARGE_BODY_MB / 4, f"no worker keeps the body; it took {grown:.0f} MiB")
        after = others(answers_meanwhile(service, 1))
    slowest = max(answer.seconds for answer in answers)
    return Outcome(
        f"3 x 413, slowest {slowest:.2f} s, {grown:.0f} MiB more memory; {after.got}",
        after.well_again,
    )


def send_large_body(address: Address) -> Answer:
    """The whole of it, then the answer is read."""
    start = time.monotonic()
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        headers = {"Content-Type": "application/json", "Content-Length": str(LARGE_BODY_MB * MIB)}
        try:
            connection.request(
                "POST", "/api/auth/login", repeat(bytes(MIB), LARGE_BODY_MB), headers
            )
            response = connection.getresponse()
            body = json.loads(response.read())
        except OSError:
            return Answer(None, {}, time.monotonic() - start)
    return Answer(response.status, body, time.monotonic() - start, response.headers)
