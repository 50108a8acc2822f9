"""Measures the service beside the floor, on the same data and in the same run."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

from django.db import connection
from tqdm import tqdm

from . import network
from .measuring import (
    Caller,
    MemoryWatch,
    PacedLoad,
    count_statements,
    requests_per_second,
    time_requests,
)
from .routes import (
    CREATE_REFERRAL,
    LOGIN,
    TECHNICIANS_LIST,
    Route,
    access_token,
    all_routes,
    log_in,
    new_referral,
)
from .servers import serving, use_database

ROUNDS = 3
REQUESTS = 4_000

Row = dict[str, Any]


def run(*, sizes: list[int], quick: bool) -> dict[str, Any]:
    """The results: of every size the latencies, of the largest one the rest, too."""
    results: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "runs": []}
    for referrals in sorted(sizes):
        use_database(referrals)
        measure = Measurement(quick=quick, whole=referrals == max(sizes))
        results["runs"].append({"referrals": referrals, **measure.run()})
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgresql,) = cursor.fetchone()
    results["machine"] = {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": postgresql,
    }
    return results


class Measurement:
    """Of one database, with the service on it and the floor beside it."""

    def __init__(self, *, quick: bool, whole: bool):
        self.quick, self.whole = quick, whole
        self.samples = {"number": 100, "seconds": 2} if quick else {"number": 200, "seconds": 5}
        self.load_seconds = 5 if quick else 10

    def run(self) -> dict[str, Any]:
        with ExitStack() as stack:
            self.service, master = stack.enter_context(serving("_tetradx.wsgi"))
            self.floor, _ = stack.enter_context(serving("benchmarks.floor:application"))
            memory = stack.enter_context(MemoryWatch(master))
            routes = all_routes(self.get)
            rows = [self.latencies(route) for route in tqdm(routes, "latencies", unit="route")]
            if self.whole:
                for route, row in zip(tqdm(routes, "requests a second"), rows, strict=True):
                    row.update(self.throughput(route))
                rows += [self.creation(), *self.creations(), self.login(), *self.logins()]
        return {"rows": rows, "worker_private_mib": memory.peak_mib}

    def get(self, path: str, token: str) -> dict:
        with Caller(self.service, token) as caller:
            return json.loads(caller.expect(200, "GET", path))["data"]

    def latencies(self, route: Route) -> Row:
        with Caller(self.service, route.token) as caller:
            found = time_requests(lambda: caller.expect(200, "GET", route.path), **self.samples)
        return {
            "route": route.name,
            "statements": count_statements("GET", route.path, route.token),
            "p50_ms": found.p50,
            "p95_ms": found.p95,
            "decisive": route.decisive,
            "flat": route.flat,
        }

    def throughput(self, route: Route) -> Row:
        if self.quick and not route.decisive:
            return {}
        rounds = ROUNDS if route.on_floor else 1
        seconds = 20 if route.on_floor else 5
        of_floor: list[float] = []
        of_service: list[float] = []
        for _ in range(rounds):
            for address, rates in ((self.floor, of_floor), (self.service, of_service)):
                if address is self.service or route.on_floor:
                    rates.append(
                        requests_per_second(
                            address, route.path, route.token, number=REQUESTS, seconds=seconds
                        )
                    )
        per_second = statistics.median(of_service)
        if not of_floor:
            return {"per_second": per_second}
        floor = statistics.median(of_floor)
        return {
            "per_second": per_second,
            "floor_per_second": floor,
            "ratio": per_second / floor,
        }

    def creation(self) -> Row:
        token = access_token(network.PRACTITIONERS[10])
        with Caller(self.service, token) as caller:
            found = time_requests(
                lambda: caller.expect(201, "POST", CREATE_REFERRAL, new_referral()),
                **self.samples,
            )
        return {
            "route": "POST referral, three tests",
            "statements": count_statements("POST", CREATE_REFERRAL, token, new_referral()),
            "p50_ms": found.p50,
            "p95_ms": found.p95,
        }

    def creations(self) -> list[Row]:
        """From ten practitioners to one branch, whose list two people read all the while."""
        tokens = [access_token(phone_number) for phone_number in network.PRACTITIONERS[10:20]]

        def create(caller: Caller) -> None:
            caller.expect(201, "POST", CREATE_REFERRAL, new_referral())

        return self.together(
            ("POST referral, 150/s from ten clients", tokens, create, 150),
            ("  the list of their branch, 20/s", self.readers(2), read_list, 20),
        )

    def login(self) -> Row:
        phone_number = network.PRACTITIONER_OF_100
        body = {"phone_number": phone_number, "password": network.PASSWORD}
        with Caller(self.service) as caller:
            found = time_requests(lambda: log_in(caller, phone_number), number=20, seconds=10)
        return {
            "route": "login",
            "statements": count_statements("POST", LOGIN, body=body),
            "p50_ms": found.p50,
            "p95_ms": found.p95,
        }

    def logins(self) -> list[Row]:
        """Of different people at once, and a list that two people read all the while."""
        phone_numbers = cycle(network.PRACTITIONERS[20:])
        return self.together(
            (
                "login, 20/s from 20 clients",
                [""] * 20,
                lambda caller: log_in(caller, next(phone_numbers)),
                20,
            ),
            ("  the list of a branch, 20/s", self.readers(2), read_list, 20),
        )

    def readers(self, number: int) -> list[str]:
        return [access_token(network.TECHNICIAN_OF_A_THIRD)] * number

    def together(
        self, *loads: tuple[str, list[str], Callable[[Caller], object], float]
    ) -> list[Row]:
        """A row for each of the loads, which run at the same time."""
        with ExitStack() as stack:
            running = [
                stack.enter_context(self.load(stack, tokens, send, per_second))
                for _, tokens, send, per_second in loads
            ]
            time.sleep(self.load_seconds)
            for load in running:
                load.ended.set()
        return [
            {
                "route": name,
                "p50_ms": result.latencies.p50,
                "p95_ms": result.latencies.p95,
                "per_second": result.per_second,
            }
            for (name, *_), load in zip(loads, running, strict=True)
            for result in [load.result()]
        ]

    def load(
        self,
        stack: ExitStack,
        tokens: list[str],
        send: Callable[[Caller], object],
        per_second: float,
    ) -> PacedLoad:
        callers = [stack.enter_context(Caller(self.service, token)) for token in tokens]
        return PacedLoad(
            lambda n: lambda: send(callers[n]), clients=len(callers), per_second=per_second
        )


def read_list(caller: Caller) -> None:
    caller.expect(200, "GET", TECHNICIANS_LIST)


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Of both lists and one referral: the share of the floor's requests a second."""
    rows = results["runs"][-1]["rows"]
    return {row["route"]: row["ratio"] for row in rows if row.get("decisive")}


COLUMNS = (
    ("SQL", "statements", "{:d}"),
    ("p50 ms", "p50_ms", "{:,.1f}"),
    ("p95 ms", "p95_ms", "{:,.1f}"),
    ("req/s", "per_second", "{:,.0f}"),
    ("floor", "floor_per_second", "{:,.0f}"),
    ("ratio", "ratio", "{:.2f}"),
)


def table(run: dict[str, Any]) -> str:
    width = max(len(row["route"]) for row in run["rows"])
    title = f"{run['referrals']:,} referrals".ljust(width)
    lines = [title + "".join(f"{heading:>10}" for heading, _, _ in COLUMNS)]
    for row in run["rows"]:
        cells = (
            form.format(row[key]) if row.get(key) is not None else "" for _, key, form in COLUMNS
        )
        lines.append(row["route"].ljust(width) + "".join(f"{cell:>10}" for cell in cells))
    if run["worker_private_mib"] is not None:
        lines.append(f"Private memory of a worker: {run['worker_private_mib']:.0f} MiB at most")
    return "\n".join(lines)


def growth(results: dict[str, Any]) -> dict[str, float]:
    """By how much p50 is larger in the largest database than in the smallest one."""
    smallest, *_, largest = results["runs"]
    before = {row["route"]: row["p50_ms"] for row in smallest["rows"]}
    return {
        row["route"]: row["p50_ms"] / before[row["route"]]
        for row in largest["rows"]
        if row.get("flat")
    }
