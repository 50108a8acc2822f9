"""The list of what was mended, set aside, made, or is to be looked at.

It holds old values, patients' among them: only its owner may read the file.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO

HEADS = ("table", "id", "rule", "what was wrong", "what was done")

MAKE = """
    CREATE TEMPORARY TABLE predecessor_report (
        number bigint GENERATED ALWAYS AS IDENTITY,
        table_name text NOT NULL, id text NOT NULL, rule text NOT NULL,
        wrong text NOT NULL, done text NOT NULL, old jsonb, new jsonb
    ) ON COMMIT DROP
"""

AS_CSV = """
    COPY (SELECT table_name AS "table", id, rule, wrong AS "what was wrong",
        done AS "what was done" FROM predecessor_report ORDER BY number)
    TO STDOUT WITH (FORMAT csv, HEADER)
"""


class Line(NamedTuple):
    table: str
    id: str
    rule: str
    wrong: str
    done: str


class ReportError(Exception):
    """The report cannot be written or read; says why."""


@contextmanager
def new_report(path: Path) -> Iterator[TextIO]:
    """A file that was not there and only its owner can read; gone again unless it was written.

    Raises ReportError.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ReportError(f"{path} is there already; --report names another file.") from None
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        try:
            yield file
        except BaseException:
            # Written is that of an import which may well be kept.
            if not file.closed:
                with suppress(OSError):
                    path.unlink()
            raise


def write(cursor: Any, file: TextIO) -> None:
    """Returns once the report is on the disk; the file is closed then."""
    cursor.copy_expert(AS_CSV, file)
    file.flush()
    os.fsync(file.fileno())
    file.close()


def read(path: Path) -> Iterator[Line]:
    """Raises ReportError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            if tuple(next(lines, ())) != HEADS:
                raise ReportError(f"{path} is no report of import_predecessor.")
            yield from (Line(*line) for line in lines)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}.") from None


def summary(cursor: Any) -> Counter[str]:
    """How many rows each rule found."""
    cursor.execute("SELECT rule, count(*) FROM predecessor_report GROUP BY 1")
    return Counter(dict(cursor.fetchall()))
