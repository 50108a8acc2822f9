"""What clients get while something breaks, how soon all is well again, and what is lost.

    make chaos [ARGS="--only redis"]

Real processes: gunicorn as in production, PostgreSQL, Redis, and nginx where it is installed. One
line for each fault; fails where one of them breaks a promise.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from tests.checks.faults import clients, database, service
from tests.checks.faults.stage import BrokenPromiseError, CannotTryError, Outcome, Stage, stage

Fault = Callable[[Stage], Outcome]

FAULTS: dict[str, Fault] = {
    "database killed while clients write": database.killed_while_clients_write,
    "database stopped": database.stopped,
    "database out of reach": database.out_of_reach,
    "database frozen": database.frozen,
    "connections exhausted": database.connections_exhausted,
    "lock held by someone else": database.lock_held_by_someone_else,
    "disk full": database.disk_full,
    "disk full to the last byte": database.disk_full_to_the_last_byte,
    "Redis killed": service.redis_killed,
    "Redis frozen": service.redis_frozen,
    "worker killed mid-request": service.worker_killed_mid_request,
    "clock moved for tokens": service.clock_moved,
    "slow headers": clients.slow_headers,
    "slow bodies": clients.slow_bodies,
    "idle connections": clients.idle_connections,
    "connections left open": clients.connections_left_open,
    "bodies of 100 MB": clients.large_bodies,
    **{
        f"{name}, behind nginx": partial(fault, serving=clients.behind_nginx)
        for name, fault in {
            "slow headers": clients.slow_headers,
            "slow bodies": clients.slow_bodies,
            "idle connections": clients.idle_connections,
            "bodies of 100 MB": clients.large_bodies,
        }.items()
    },
}


def run(faults: dict[str, Fault], here: Stage) -> tuple[int, int]:
    """How many passed and failed; what this machine cannot make counts as neither."""
    passed = failed = 0
    for name, fault in faults.items():
        start = time.monotonic()
        try:
            outcome = fault(here)
        except CannotTryError as reason:
            print(f"not run  {name}: {reason}", flush=True)
            continue
        except (BrokenPromiseError, AssertionError) as promise:
            failed += 1
            print(f"FAILED   {name}: it should be that {promise}", flush=True)
            continue
        passed += 1
        took = time.monotonic() - start
        print(
            f"passed   {name}: got {outcome.got}; well again: {outcome.well_again};"
            f" lost: {outcome.lost} ({took:.0f} s)",
            flush=True,
        )
    return passed, failed


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser(prog="chaos")
    options.add_argument("--only", metavar="WORD", default="", help="faults whose name has it")
    chosen = options.parse_args(arguments)
    faults = {name: fault for name, fault in FAULTS.items() if chosen.only.lower() in name.lower()}
    if not faults:
        raise SystemExit(f"No fault's name has {chosen.only!r}: {', '.join(FAULTS)}")
    with stage(max_connections="60") as here:
        passed, failed = run(faults, here)
    print(f"{passed} passed, {failed} failed")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    main(sys.argv[1:])
