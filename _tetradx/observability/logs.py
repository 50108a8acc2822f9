"""The format of the log's lines. LOGGING_GUIDE.md says what each line means."""

import json
import logging
import re
import time
import traceback
from contextvars import ContextVar
from copy import copy
from typing import Any
from urllib.parse import quote

import django.db
import psycopg2

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="-")


class LineFormatter(logging.Formatter):
    """Formats a line for people, with the id of the request that it belongs to.

    Tracebacks leave out the database's messages: PostgreSQL quotes the refused row in them
    ("Failing row contains (…)"), which may be a patient's. They keep the SQLSTATE and the
    constraint. No text of a client can look like a field or a line.
    """

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "{asctime} {levelname} {name} request_id={request_id} {message}", style="{"
        )

    def format(self, record: logging.LogRecord) -> str:
        if not hasattr(record, "request_id"):
            record.request_id = current_request_id.get()
        if record.exc_info:
            # A record caches the text of its exception. Another handler may have cached one that
            # withholds nothing, and the handlers after this one use the cached text.
            record.exc_text = self.formatException(record.exc_info)
        return super().format(quoting_clients(record))

    def formatException(self, exc_info):  # noqa: N802 (logging's own name)
        report = traceback.TracebackException(*exc_info)
        error: BaseException | None = exc_info[1]
        entry: Any = report
        while error is not None and entry is not None:
            if isinstance(error, psycopg2.Error | django.db.Error):
                entry._str = database_fault(error)
            entry._str = escaped(entry._str)
            if error.__cause__ is not None or error.__suppress_context__:
                error, entry = error.__cause__, entry.__cause__
            else:
                error, entry = error.__context__, entry.__context__
        return "".join(report.format()).rstrip("\n")


def quoting_clients(record: logging.LogRecord) -> logging.LogRecord:
    """Escapes Django's lines: they quote paths, hosts and origins, and have no fields."""
    if not record.name.startswith("django."):
        return record
    arguments = record.args if isinstance(record.args, tuple) else ()
    message = record.getMessage()
    for argument in arguments:
        if isinstance(argument, str) and argument.startswith("/"):
            message = message.replace(argument, quote(argument, safe="/%\\"))
    quoted = copy(record)
    quoted.msg, quoted.args = escaped(message), ()
    return quoted


def escaped(text: str) -> str:
    """Escapes control characters and line breaks, and the `=` of a field."""
    one_line = CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
    return one_line.replace("=", "%3D")


class JsonFormatter(LineFormatter):
    """Formats a line for machines: a JSON object, with the record's `fields` as members."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", current_request_id.get()),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def database_fault(error: BaseException) -> str:
    cause = error if isinstance(error, psycopg2.Error) else error.__cause__
    if not isinstance(cause, psycopg2.Error):
        return "(message withheld)"
    if isinstance(cause, psycopg2.OperationalError) and cause.pgcode is None:
        # The message is libpq's: it failed to connect, or lost the connection. It quotes no row.
        return str(cause).partition("\n")[0]
    return f"SQLSTATE {cause.pgcode}, constraint {cause.diag.constraint_name}"
