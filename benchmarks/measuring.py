"""How the benchmark measures: single requests, `ab`, a paced load, statements and memory."""

import http.client
import json
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection
from django.test import Client

TRANSACTION_CONTROL = ("SAVEPOINT", "RELEASE", "ROLLBACK")


@dataclass(frozen=True)
class Address:
    host: str
    port: int


@dataclass
class Latencies:
    """Milliseconds of single requests."""

    samples: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return statistics.median(self.samples)

    @property
    def p95(self) -> float:
        return sorted(self.samples)[max(0, -(-len(self.samples) * 95 // 100) - 1)]


class Caller:
    """One client on one kept connection, which it opens again where the server closed it."""

    def __init__(self, address: Address, token: str = ""):
        self.connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        payload = None if body is None else json.dumps(body)
        try:
            return self._call(method, path, payload)
        except (ConnectionError, http.client.BadStatusLine):
            # A worker that has had its share of requests closes what it kept.
            self.connection.close()
            return self._call(method, path, payload)

    def _call(self, method: str, path: str, payload: str | None) -> tuple[int, bytes]:
        self.connection.request(method, path, payload, self.headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def expect(self, status: int, method: str, path: str, body: object = None) -> bytes:
        """Raises RuntimeError where the answer has another status."""
        answered, content = self(method, path, body)
        if answered != status:
            raise RuntimeError(f"{method} {path}: {answered} {content[:200]!r}")
        return content


def time_requests(send: Callable[[], object], *, number: int, seconds: float) -> Latencies:
    """Up to `number` requests one after the other, three at least, for about `seconds`."""
    latencies = Latencies()
    give_up = time.monotonic() + seconds
    send()
    while len(latencies.samples) < number and (
        len(latencies.samples) < 3 or time.monotonic() < give_up
    ):
        start = time.perf_counter()
        send()
        latencies.samples.append(1000 * (time.perf_counter() - start))
    return latencies


@dataclass
class Load:
    """What came of a load: requests a second, and the latency of each."""

    per_second: float
    latencies: Latencies


class PacedLoad:
    """`clients` threads that send `per_second` requests in all, or as many as are answered.

    `connect` gives each client the function that sends its requests.
    """

    def __init__(
        self, connect: Callable[[int], Callable[[], object]], *, clients: int, per_second: float
    ):
        self.interval = clients / per_second
        self.samples: list[float] = []
        self.failures: list[BaseException] = []
        self.ended = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=[connect, n, n / per_second])
            for n in range(clients)
        ]

    def _run(self, connect: Callable[[int], Callable[[], object]], n: int, offset: float) -> None:
        try:
            send = connect(n)
            due = self.started + offset
            while not self.ended.wait(max(0, due - time.monotonic())):
                start = time.perf_counter()
                send()
                self.samples.append(1000 * (time.perf_counter() - start))
                # What was missed is not made up for.
                due = max(due + self.interval, time.monotonic())
        except Exception as error:
            self.failures.append(error)

    def __enter__(self) -> "PacedLoad":
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()
        self.seconds = time.monotonic() - self.started

    def result(self) -> Load:
        """To be asked for when the load has ended. Raises what a client raised."""
        if self.failures:
            raise self.failures[0]
        return Load(len(self.samples) / self.seconds, Latencies(self.samples))


def requests_per_second(
    address: Address, path: str, token: str, *, number: int, seconds: int
) -> float:
    """By `ab` with ten clients that keep their connections, for `seconds` at most.

    Raises RuntimeError where an answer was no success.
    """
    run = subprocess.run(
        [
            *("ab", "-q", "-k", "-c", "10", "-t", str(seconds), "-n", str(number)),
            *("-H", f"Authorization: Bearer {token}"),
            f"http://{address.host}:{address.port}{path}",
        ],
        capture_output=True,
        text=True,
    )
    return read_ab(run.stdout, run.stderr)


def read_ab(report: str, errors: str = "") -> float:
    """The requests a second in what `ab` prints."""
    found = re.search(r"^Requests per second: +([0-9.]+)", report, re.MULTILINE)
    refused = re.search(r"^Non-2xx responses: .*", report, re.MULTILINE)
    if refused or not found:
        raise RuntimeError(refused[0] if refused else f"ab failed: {errors or report}")
    return float(found[1])


def count_statements(method: str, path: str, token: str = "", body: object = None) -> int:
    """Of one request in this process, transaction control aside."""
    sent = 0

    def count(execute, sql, params, many, context):
        nonlocal sent
        sent += not sql.startswith(TRANSACTION_CONTROL)
        return execute(sql, params, many, context)

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with connection.execute_wrapper(count):
        Client().generic(
            method, path, json.dumps(body or {}), content_type="application/json", headers=headers
        )
    return sent


class MemoryWatch:
    """The most private memory, in MiB, that any worker of a gunicorn had. None without /proc."""

    def __init__(self, master: int):
        self.master = master
        self.peak_mib: float | None = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.ended.wait(0.5):
            for worker in children(self.master):
                if (mib := private_mib(worker)) is not None:
                    self.peak_mib = max(mib, self.peak_mib or 0)


def children(process: int) -> list[int]:
    try:
        return [
            int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []


def private_mib(process: int) -> float | None:
    try:
        report = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return None
    return sum(int(kib) for kib in re.findall(r"^Private_\w+: +(\d+) kB", report, re.M)) / 1024
