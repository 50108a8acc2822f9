"""The slots of gunicorn's workers, by which their metrics are kept.

Each worker counts into the files of its slot, and /metrics sums them. A worker that ends leaves its
slot to a successor: the counters go on, and there are never more files than workers.
"""

import glob
import itertools
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from prometheus_client import multiprocess, values

this_slot = "master"


def folder() -> str:
    return os.environ["PROMETHEUS_MULTIPROC_DIR"]


def use_slot_files() -> None:
    """Has each process keep the metrics that it creates from now on in the files of its slot.

    By default prometheus_client names the files by process id, and keeps those of every process
    that ever ran.
    """
    os.makedirs(folder(), exist_ok=True)
    values.ValueClass = values.MultiProcessValue(lambda: this_slot)


def clear() -> None:
    """Deletes what an earlier run of the service counted."""
    for path in glob.glob(os.path.join(folder(), "*.db")):
        os.remove(path)


def assign(worker: Any, others: Iterable[Any]) -> None:
    """Gives the worker the first free slot. Runs in the master, before the fork."""
    taken = {other.slot for other in others}
    worker.slot = next(slot for slot in map(str, itertools.count(1)) if slot not in taken)
    # Cleans up after a worker whose exit hook did not run.
    release(worker)


def occupy(worker: Any) -> None:
    """Makes the slot this process's own. Runs in the worker, after the fork."""
    global this_slot
    this_slot = worker.slot


def release(worker: Any) -> None:
    """Drops the gauges of a worker that has ended. Runs in the master."""
    multiprocess.mark_process_dead(worker.slot)


def remove() -> None:
    """Deletes the files and their folder when the service ends."""
    clear()
    with suppress(OSError):
        os.rmdir(folder())
