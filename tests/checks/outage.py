"""What clients are answered while the database is stopped, frozen or out of reach, and after.

    make outage-check [ARGS="--seconds 20 --out-of-reach 10 --frozen 10"]

gunicorn serves a throwaway database over TCP, under requests of some clients at their own pace, and
of probes. It fails where an answer to a stopped database is no 503 in time, or the first one after
is none of before; and it says how many clients waited for one that is out of reach.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import cycle

from _tetradx.db.connections import SLOW_SECONDS
from tests.support.api_client import Caller
from tests.support.ports import silent
from tests.support.service import serving
from tests.support.throwaway_postgres import Server, throwaway_server

PHONE_NUMBER, PASSWORD = "0244000001", "Passw0rd!x"
CLIENTS = 8
# Each waits for 1.5 s where nobody answers, and there are eight threads for all.
PROBES = 2
PAUSE_SECONDS = 0.2
# A request to a frozen database waits until that thaws.
CLIENT_TIMEOUT_SECONDS = 120

Address = tuple[str, int]


@dataclass
class Answer:
    at: float
    seconds: float
    path: str
    status: int
    in_envelope: bool
    retry_after: str | None


@dataclass
class Clients:
    """They ask in turns for what they may see, until the block ends."""

    address: Address
    token: str
    answers: list[Answer] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> Iterator[str]:
        return cycle(
            ["/api/medics/facilities", "/api/medics/referrals/practitioner", "/api/auth/login"]
        )

    def ask(self, path: str) -> Answer:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            # An address for each, or so many logins at once were taken for guesses.
            "X-Forwarded-For": f"198.51.100.{threading.get_ident() // 4096 % 250}",
        }
        method, body = "GET", None
        if path == "/api/auth/login":
            login = {"phone_number": PHONE_NUMBER, "password": PASSWORD}
            method, body = "POST", json.dumps(login)
        at = time.monotonic()
        with closing(
            http.client.HTTPConnection(*self.address, timeout=CLIENT_TIMEOUT_SECONDS)
        ) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        return Answer(
            at,
            time.monotonic() - at,
            path,
            response.status,
            in_envelope=answer.keys() == {"status", "code", "detail"},
            retry_after=response.headers["Retry-After"],
        )

    def probe(self) -> None:
        """As an orchestrator does; what it is told is not for this check to judge."""
        with closing(
            http.client.HTTPConnection(*self.address, timeout=CLIENT_TIMEOUT_SECONDS)
        ) as connection:
            connection.request("GET", "/readyz")
            connection.getresponse().read()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        ended = threading.Event()
        failures: list[BaseException] = []

        def repeat(step: Callable[[], None]) -> None:
            try:
                while not ended.wait(PAUSE_SECONDS):
                    step()
            except BaseException as failure:
                failures.append(failure)

        def client() -> Callable[[], None]:
            paths = self.paths()

            def step() -> None:
                self.answers.append(self.ask(next(paths)))
                self.answered.set()

            return step

        steps = [*(client() for _ in range(CLIENTS)), *[self.probe] * PROBES]
        threads = [threading.Thread(target=repeat, args=[step]) for step in steps]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def wait_for_answers(self, each: int = 3) -> None:
        """Until each client has had so many more, on average."""
        until = len(self.answers) + each * CLIENTS
        while len(self.answers) < until:
            if not self.answered.wait(timeout=CLIENT_TIMEOUT_SECONDS):
                raise SystemExit("The clients get no more answers.")
            self.answered.clear()

    def between(self, start: float, end: float) -> list[Answer]:
        """Of the requests that began then."""
        return [answer for answer in self.answers if start <= answer.at < end]


def summary(when: str, answers: list[Answer]) -> str:
    if not answers:
        return f"{when}: no request"
    statuses = ", ".join(f"{n} x {status}" for status, n in sorted(by_status(answers).items()))
    slowest = max(answers, key=lambda answer: answer.seconds)
    return f"{when}: {statuses}; slowest {slowest.seconds * 1000:.0f} ms ({slowest.path})"


def by_status(answers: list[Answer]) -> Counter:
    return Counter(answer.status for answer in answers)


def first_answers(clients: Clients, *, patience: float) -> list[Answer]:
    """Once the database is back; more than the threads of all workers, whose connections broke.

    Where nothing answered, a worker tries to reach it again every second only: for `patience`
    seconds all is asked again that was not well.
    """
    give_up = time.monotonic() + patience
    first = [clients.ask("/api/medics/facilities") for _ in range(20)]
    while time.monotonic() < give_up and by_status(first[-20:]).keys() != {200}:
        time.sleep(PAUSE_SECONDS)
        first.append(clients.ask("/api/medics/facilities"))
    return first


def check_stopped(
    server: Server, clients: Clients, seconds: float, within: float, *, out_of_reach: bool
) -> None:
    start = time.monotonic()
    with clients.at_work():
        clients.wait_for_answers()
        stopping = time.monotonic()
        server.stop()
        stopped = time.monotonic()
        with silent(server.port) if out_of_reach else nullcontext():
            time.sleep(seconds)
        starting = time.monotonic()
        server.start()
        back = time.monotonic()
        first = first_answers(clients, patience=10 if out_of_reach else 0)
        served = time.monotonic()
        clients.wait_for_answers()
    print(summary("before", clients.between(start, stopping)))
    print(summary("while it stops", clients.between(stopping, stopped)))
    # One that still waits to be connected when the server comes back is served.
    meanwhile = [
        answer
        for answer in clients.between(stopped, starting)
        if answer.at + answer.seconds < starting
    ]
    how = "out of reach" if out_of_reach else "stopped"
    print(summary(f"{how} for {seconds:g} s", meanwhile))
    if out_of_reach:
        waited = [answer for answer in meanwhile if answer.seconds >= SLOW_SECONDS]
        print(summary("of which waited for it", waited))
    print(summary("while it starts", clients.between(starting, back)))
    after = clients.between(served, time.monotonic())
    print(summary("the first ones after", first))
    print(summary("after", after))
    if not meanwhile or by_status(meanwhile).keys() != {503}:
        raise SystemExit("Not every request to the stopped database was answered 503.")
    if not all(answer.in_envelope and int(answer.retry_after or 0) for answer in meanwhile):
        raise SystemExit("A 503 was not in the envelope, or had no Retry-After.")
    if slow := [answer for answer in clients.answers if answer.seconds > within]:
        raise SystemExit(f"{len(slow)} requests took more than {within:g} s.")
    if by_status([*first[-20:], *after]).keys() != {200}:
        raise SystemExit("Not every request after the stop was answered 200.")


def check_frozen(server: Server, clients: Clients, seconds: float) -> None:
    with clients.at_work():
        clients.wait_for_answers()
        with server.frozen():
            frozen = time.monotonic()
            time.sleep(seconds)
            thawed = time.monotonic()
        first = first_answers(clients, patience=10)
        served = time.monotonic()
        clients.wait_for_answers()
    meanwhile = clients.between(frozen, thawed)
    hung = [answer for answer in meanwhile if answer.seconds > 2]
    print(summary(f"frozen for {seconds:g} s", meanwhile))
    print(summary("of which hung", hung))
    print(summary("the first ones after", first))
    after = clients.between(served, time.monotonic())
    print(summary("after", after))
    if by_status([*first[-20:], *after]).keys() != {200}:
        raise SystemExit("Not every request after the freeze was answered 200.")


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser(prog="outage-check")
    options.add_argument("--seconds", type=float, default=20, help="how long it is stopped (20)")
    options.add_argument("--within", type=float, default=2, help="seconds for any answer (2)")
    options.add_argument(
        "--out-of-reach", type=float, default=10, help="how long nothing answers (10)"
    )
    options.add_argument("--frozen", type=float, default=10, help="how long it is frozen (10)")
    chosen = options.parse_args(arguments)
    with throwaway_server() as server, tempfile.TemporaryFile() as log:
        server.manage("migrate", "--verbosity=0")
        # A second to connect, as in docker-compose.yml.
        with serving(log, DATABASE_URL=server.url, DB_CONNECT_TIMEOUT_S="1") as address:
            caller = Caller(*address)
            account = {"full_name": "Ama Serwaa", "phone_number": PHONE_NUMBER}
            caller("POST", "/api/auth/register", {**account, "password": PASSWORD})
            caller.log_in(PHONE_NUMBER, PASSWORD)
            for seconds, out_of_reach in [(chosen.seconds, False), (chosen.out_of_reach, True)]:
                if seconds:
                    clients = Clients(address, str(caller.token))
                    check_stopped(
                        server, clients, seconds, chosen.within, out_of_reach=out_of_reach
                    )
            if chosen.frozen:
                check_frozen(server, Clients(address, str(caller.token)), chosen.frozen)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    main(sys.argv[1:])
