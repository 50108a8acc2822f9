"""Twenty people work for a while: no errors, no more connections than computed, no leak.

    make soak [ARGS="--minutes 10 --max-requests 0"]

gunicorn as in production, on a throwaway database. Practitioners, technicians, an administrator and
visitors do what they do: lists and searches, one referral, new ones, changes of a status, logins,
logouts, refreshes, public lists. Without `--max-requests` workers are never replaced, and the
memory of each must be flat: in the last minute within 5 % of what it was in the second one.
"""

import argparse
import http.client
import json
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from statistics import median

import psycopg2

from tests.checks.faults.stage import (
    CHOSEN_PASSWORD,
    EFUA,
    KOFI,
    PASSWORD,
    Address,
    Service,
    Stage,
    memory_bytes,
    stage,
)

WORKERS, THREADS = 2, 4
PRACTITIONERS, TECHNICIANS, ADMINISTRATORS, VISITORS = 10, 6, 1, 3
# Far less than people need, so that ten minutes hold a day's requests, and a leak shows.
PAUSE_SECONDS = 0.0, 0.02
SAMPLE_SECONDS = 2
MIB = 1024 * 1024
FLAT_WITHIN = 0.05
# What a worker loads late, it has loaded after the first minute.
SECOND_MINUTE = 60, 120


@dataclass
class Person:
    """A client with one connection, as a browser keeps it."""

    address: Address
    ended: threading.Event
    random: random.Random
    token: str = ""
    refresh: str = ""
    answers: Counter = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    connection: http.client.HTTPConnection | None = None
    etag: str = ""

    def ask(
        self, method: str, path: str, body: object = None, *, statuses: tuple = (200,), **headers
    ):
        """The data of the answer; an empty one where it is an error, which is counted."""
        self.ended.wait(self.random.uniform(*PAUSE_SECONDS))
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.address, timeout=60)
        headers |= {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        payload = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, payload, headers)
            response = self.connection.getresponse()
            answer = json.loads(response.read() or "{}")
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(f"{method} {path}: {type(error).__name__} {error}")
            self.connection.close()
            self.connection = None
            return {}
        self.answers[response.status] += 1
        if response.status not in statuses:
            self.errors.append(f"{method} {path}: {response.status} {answer.get('detail')}")
            return {}
        self.etag = response.headers["ETag"] or ""
        return answer.get("data", answer)

    def log_in(self, phone_number: str, password: str) -> None:
        login = {"phone_number": phone_number, "password": password}
        data = self.ask("POST", "/api/auth/login", login)
        self.token = data.get("access_token", "")
        self.refresh = data.get("refresh_token", "")

    def renew(self) -> None:
        """As the public client does, and as others do."""
        renewed = self.ask("POST", "/api/refresh", {"refresh_token": self.refresh})
        self.token = renewed.get("access_token", "")
        renewed = self.ask("POST", "/api/auth/token/refresh", {"refresh": self.refresh})
        self.token, self.refresh = renewed.get("access", ""), renewed.get("refresh", "")

    def log_out(self) -> None:
        self.ask("POST", "/api/auth/logout", {"refresh_token": self.refresh})


def practise(here: Stage, me: Person, phone_number: str) -> None:
    me.log_in(phone_number, PASSWORD)
    mine = "/api/medics/referrals/practitioner"
    for _ in range(10):
        name = f"Akosua {me.random.randrange(10**6)}"
        me.ask("GET", f"{mine}?search_query={me.random.choice(['akosua', 'fbc', 'nobody'])}")
        made = me.ask("POST", "/api/medics/referral", here.referral(name), statuses=(201,))
        me.ask("GET", mine)
        me.ask("GET", f"/api/medics/referral/{made.get('referral_id')}")
        me.ask("GET", f"{mine}?page_number=2&page_size=20&status=Pending")
        if me.ended.is_set():
            return
    me.renew()
    me.log_out()


def work_at_the_branch(here: Stage, me: Person, phone_number: str, place: int) -> None:
    me.log_in(phone_number, CHOSEN_PASSWORD)
    path = "/api/medics/referrals/technician"
    for _ in range(5):
        listed = me.ask("GET", f"{path}?search_query=akosua&status=Pending&page_size=50")
        # Each takes their own, or they would complete what another has completed.
        for row in listed.get("referrals", []):
            if sum(map(ord, row["referral_id"])) % TECHNICIANS != place or me.ended.is_set():
                continue
            referral = f"/api/medics/referral/{row['referral_id']}"
            me.ask("PUT", referral, {"status": "Received"})
            for test in row["tests"]:
                tests = f"/api/medics/referral-tests/{test['test_id']}/status"
                me.ask("PUT", tests, {"status": "Completed"})
            me.ask("PUT", referral, {"status": "Completed"})
        me.ask("GET", f"{path}?sort_by=doctor&sort_type=asc")
        if me.ended.is_set():
            return
    me.renew()
    me.log_out()


def administer(me: Person) -> None:
    me.log_in(EFUA, CHOSEN_PASSWORD)
    for _ in range(5):
        me.ask("GET", "/api/medics/referrals/technician")
        name = f"Branch {me.random.randrange(10**9)}"
        branch = me.ask("POST", "/api/medics/branches/add", {"name": name}, statuses=(201,))
        me.ask("DELETE", f"/api/medics/branches/deactivate/{branch.get('id')}")
    me.renew()
    me.log_out()


def visit(me: Person) -> None:
    me.ask("GET", "/api/medics/facilities")
    # Unless the administrator has changed the catalogue meanwhile.
    unchanged = {"If-None-Match": me.etag}
    me.ask("GET", "/api/medics/facilities", statuses=(200, 304), **unchanged)
    me.ask("GET", "/api/medics/facilities/1/branches")
    types = me.ask("GET", "/api/medics/facilities/1/test-types")
    for test_type in types or []:
        me.ask("GET", f"/api/medics/test-types/{test_type['id']}/tests")


@contextmanager
def people_at_work(here: Stage, service: Service) -> Iterator[list[Person]]:
    ended = threading.Event()
    people: list[Person] = []
    threads: list[threading.Thread] = []

    def employ(work: Callable[[Person], None]) -> None:
        me = Person(service.address, ended, random.Random(len(people)))  # noqa: S311 (a pace)
        people.append(me)

        def day_by_day() -> None:
            try:
                while not ended.is_set():
                    work(me)
            except BaseException as error:
                me.errors.append(f"the client itself: {error!r}")
                raise

        threads.append(threading.Thread(target=day_by_day))

    for _ in range(PRACTITIONERS):
        number, _ = here.new_practitioner(service)
        employ(lambda me, number=number: practise(here, me, number))
    for place in range(TECHNICIANS):
        employ(lambda me, place=place: work_at_the_branch(here, me, KOFI, place))
    for _ in range(ADMINISTRATORS):
        employ(administer)
    for _ in range(VISITORS):
        employ(visit)
    for thread in threads:
        thread.start()
    try:
        yield people
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@dataclass
class Samples:
    # Connections of the service's, at each moment.
    connections: list[int] = field(default_factory=list)
    # By worker: seconds since the start and its memory in bytes.
    memory: defaultdict[int, list[tuple[float, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def take(self, service: Service, cursor, seconds: float) -> None:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        self.connections.append(cursor.fetchone()[0])
        for worker in service.workers():
            # Whole, and not its share: as workers live on, they share less with the master.
            if resident := memory_bytes(worker, "VmRSS"):
                self.memory[worker].append((seconds, resident))


def median_between(samples: list[tuple[float, int]], start: float, end: float) -> float:
    return median(size for seconds, size in samples if start <= seconds < end)


def growth(samples: list[tuple[float, int]]) -> tuple[float, float, float]:
    """Medians of the second minute and of the last one, in MiB, and the growth as a fraction."""
    end = samples[-1][0]
    second = median_between(samples, *SECOND_MINUTE)
    last = median_between(samples, end - 60, end + 1)
    return second / MIB, last / MIB, last / second - 1


def verdict(people: list[Person], samples: Samples, *, replaced: bool) -> list[tuple[bool, str]]:
    """Each promise: whether it held, and the figures."""
    answers = sum((person.answers for person in people), Counter())
    errors = [error for person in people for error in person.errors]
    most, bound = max(samples.connections), WORKERS * THREADS
    shown = ", ".join(f"{number} x {status}" for status, number in sorted(answers.items()))
    first = f"; the first: {errors[0]}" if errors else ""
    held = [
        (not errors, f"{len(errors)} errors of {answers.total()} requests ({shown}){first}"),
        (most <= bound, f"{most} connections at most; workers x threads are {bound}"),
    ]
    if replaced:
        enough = len(samples.memory) > WORKERS
        held.append((enough, f"{len(samples.memory)} workers served, one after the other"))
        return held
    held.append((len(samples.memory) == WORKERS, f"{len(samples.memory)} workers, none replaced"))
    for number, sampled in enumerate(samples.memory.values(), start=1):
        second, last, grown = growth(sampled)
        held.append(
            (
                abs(grown) <= FLAT_WITHIN,
                f"worker {number} had {second:.1f} MiB in the second minute and {last:.1f} MiB in"
                f" the last: {100 * grown:+.1f} %",
            )
        )
    return held


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser(prog="soak")
    options.add_argument("--minutes", type=float, default=10, help="how long (10; 3 at least)")
    options.add_argument(
        "--max-requests", type=int, default=0, help="after which a worker is replaced (never)"
    )
    chosen = options.parse_args(arguments)
    samples = Samples()
    settings = {
        "GUNICORN_WORKERS": str(WORKERS),
        "GUNICORN_THREADS": str(THREADS),
        "GUNICORN_MAX_REQUESTS": str(chosen.max_requests),
    }
    with stage() as here, here.service(**settings) as service:
        start = time.monotonic()
        with (
            closing(psycopg2.connect(here.server.url)) as connection,
            people_at_work(here, service) as people,
        ):
            connection.autocommit = True
            while (seconds := time.monotonic() - start) < 60 * chosen.minutes:
                samples.take(service, connection.cursor(), seconds)
                time.sleep(SAMPLE_SECONDS)
        here.expect_whole()
    held = verdict(people, samples, replaced=chosen.max_requests > 0)
    for holds, figures in held:
        print("passed " if holds else "FAILED ", figures)
    failed = sum(not holds for holds, _ in held)
    print(f"{len(held) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    main(sys.argv[1:])
