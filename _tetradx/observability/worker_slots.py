"""The places of gunicorn's workers, by which their metrics are kept.

Each worker counts into files of its place, and /metrics sums them. A worker that goes leaves its
place to a successor: the counters go on, and there are no more files than workers at once.
"""

import glob
import itertools
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from prometheus_client import multiprocess, values

this_place = "master"


def folder() -> str:
    return os.environ["PROMETHEUS_MULTIPROC_DIR"]


def keep_values() -> None:
    """Has each process keep the metrics that it makes from now on by its place.

    Left alone, prometheus_client keeps them by process id, and the files of all that ever ran.
    """
    os.makedirs(folder(), exist_ok=True)
    values.ValueClass = values.MultiProcessValue(lambda: this_place)


def empty() -> None:
    """Forgets what an earlier run of the service counted."""
    for path in glob.glob(os.path.join(folder(), "*.db")):
        os.remove(path)


def give(worker: Any, others: Iterable[Any]) -> None:
    """In the master, before the fork: the first place that none of the others has."""
    taken = {other.place for other in others}
    worker.place = next(place for place in map(str, itertools.count(1)) if place not in taken)
    # Of one that ended without a word.
    leave(worker)


def enter(worker: Any) -> None:
    """In the worker, after the fork."""
    global this_place
    this_place = worker.place

    from .metrics import metrics  # which itself needs the place

    of = metrics()
    of.worker_starts.inc()
    of.worker_started.set(time.time())
    of.worker_threads.set(worker.cfg.threads)
    of.workers_configured.set(worker.cfg.workers)


def leave(worker: Any) -> None:
    """In the master: what was true of the worker while it lived is true no longer."""
    multiprocess.mark_process_dead(worker.place)


def close() -> None:
    """When the service ends."""
    empty()
    with suppress(OSError):
        os.rmdir(folder())
