"""The record of a running request: its statements, their time and its user."""

import logging
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest
from django.utils.functional import LazyObject

# DEBUG shows every statement, without its values.
sql_log = logging.getLogger("tetradx.sql")

# Longer statements are cut in the log.
STATEMENT_CHARACTERS = 500
# Ids that clients send are cut to this length: with the generated id, the history's column is full.
SENT_CHARACTERS = 95


class RequestRecord:
    """The record that the middleware keeps from the request's arrival to its answer."""

    __slots__ = (
        "is_reported",
        "request",
        "sql_seconds",
        "started",
        "statement",
        "statements",
        "thread_id",
    )

    def __init__(self, request: HttpRequest):
        self.request = request
        self.thread_id = threading.get_ident()
        self.started = time.monotonic()
        # The statement that the database has yet to answer.
        self.statement: str | None = None
        self.statements: Counter[str] = Counter()
        self.sql_seconds = 0.0
        # Whether the watch has logged the request.
        self.is_reported = False

    def __str__(self) -> str:
        """Method and path, in ASCII; without the query, which may hold a patient's name."""
        return f"{self.request.method} {quote(self.request.path)}"

    @property
    def id(self) -> str:
        return self.request.id  # type: ignore[attr-defined]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def queries(self) -> int:
        return self.statements.total()

    @property
    def user_id(self) -> str | None:
        """The id of the signed-in user, as far as it is known without a query; else None."""
        user: Any = getattr(self.request, "_cached_user", None) or vars(self.request).get("user")
        if user is None or isinstance(user, LazyObject) or user.pk is None:
            return None
        return str(user.pk)

    def measure_statement(self, execute, sql, params, many, context):
        """Wraps the execution of each statement (django.db.connection.execute_wrapper)."""
        self.statement = sql = str(sql)
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            seconds = time.perf_counter() - start
            self.sql_seconds += seconds
            self.statements[sql] += 1
            self.statement = None
            if sql_log.isEnabledFor(logging.DEBUG):
                sql_log.debug("%.1f ms: %s", 1000 * seconds, one_line(sql))

    def repeated_statements(self) -> str:
        """The three most frequent of the statements that ran more than once, for the log."""
        repeated = [(sql, number) for sql, number in self.statements.most_common(3) if number > 1]
        return "; ".join(f"{number} x {one_line(sql)}" for sql, number in repeated) or "none"


def one_line(sql: str) -> str:
    """Formats a statement for the log, with placeholders: the values may be patients' data."""
    return " ".join(sql.split())[:STATEMENT_CHARACTERS]


# By thread id, the record of each thread that is serving a request.
in_flight: dict[int, RequestRecord] = {}
