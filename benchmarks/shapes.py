"""How many workers and threads, and of which class: what gunicorn_config.py is set by."""

import os
from contextlib import ExitStack
from typing import Any, NamedTuple

from tqdm import tqdm

from . import network
from .measuring import MemoryWatch, requests_per_second
from .routes import PRACTITIONERS_LIST, access_token
from .run import REQUESTS, Measurement
from .servers import serving, use_database


class Shape(NamedTuple):
    worker_class: str
    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.worker_class} {self.workers} x {self.threads}"


SHAPES = [
    *(Shape("sync", workers, 1) for workers in (5, 10)),
    *(Shape("gthread", workers, 4) for workers in (2, 3, 5)),
    *(Shape("gthread", 5, threads) for threads in (1, 2, 8)),
    Shape("gthread", 10, 2),
]


def compare(*, referrals: int, shapes: list[Shape], seconds: int) -> list[dict[str, Any]]:
    """Of each shape: a list's requests a second, and its latency beside 20 logins a second."""
    use_database(referrals)
    token = access_token(network.PRACTITIONER_OF_2_000)
    rows = []
    for shape in tqdm(shapes, "shapes"):
        os.environ.update(
            GUNICORN_WORKER_CLASS=shape.worker_class,
            GUNICORN_WORKERS=str(shape.workers),
            GUNICORN_THREADS=str(shape.threads),
        )
        measure = Measurement(quick=True, whole=False)
        measure.load_seconds = seconds
        with ExitStack() as stack:
            measure.service, master = stack.enter_context(serving("_tetradx.wsgi"))
            memory = stack.enter_context(MemoryWatch(master))
            per_second = requests_per_second(
                measure.service, PRACTITIONERS_LIST, token, number=REQUESTS, seconds=20
            )
            logins, lists = measure.logins()
        rows.append(
            {
                "shape": str(shape),
                "lists_per_second": per_second,
                "logins_per_second": logins["per_second"],
                "login_p95_ms": logins["p95_ms"],
                "list_p50_ms": lists["p50_ms"],
                "list_p95_ms": lists["p95_ms"],
                "worker_private_mib": memory.peak_mib,
            }
        )
    return rows
