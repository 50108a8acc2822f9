import logging
import traceback
from contextvars import ContextVar
from typing import Any

import django.db
import psycopg2

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="-")


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


class PrivateFormatter(logging.Formatter):
    """Keeps the database's messages out of tracebacks.

    PostgreSQL quotes the refused row in them ("Failing row contains (…)"), which may be a
    patient's. What helps to find the fault is kept: the SQLSTATE and the constraint.
    """

    def formatException(self, exc_info):  # noqa: N802 (logging's own name)
        report = traceback.TracebackException(*exc_info)
        error: BaseException | None = exc_info[1]
        entry: Any = report
        while error is not None and entry is not None:
            if isinstance(error, psycopg2.Error | django.db.Error):
                entry._str = database_fault(error)
            if error.__cause__ is not None or error.__suppress_context__:
                error, entry = error.__cause__, entry.__cause__
            else:
                error, entry = error.__context__, entry.__context__
        return "".join(report.format()).rstrip("\n")


def database_fault(error: BaseException) -> str:
    cause = error if isinstance(error, psycopg2.Error) else error.__cause__
    if not isinstance(cause, psycopg2.Error):
        return "(message withheld)"
    if isinstance(cause, psycopg2.OperationalError) and cause.pgcode is None:
        # libpq's own: it failed to connect, or lost the connection. No row is quoted.
        return str(cause).partition("\n")[0]
    return f"SQLSTATE {cause.pgcode}, constraint {cause.diag.constraint_name}"
