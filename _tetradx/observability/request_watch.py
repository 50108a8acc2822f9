"""Logs why a request hangs, while it hangs.

gunicorn's timeout watches a threaded worker's main loop, not its requests, so a request that hangs
would stay unexplained.
"""

import logging
import sys
import threading
import time
import traceback

from django.conf import settings

from _tetradx.db.connections import waiting

from .request_record import RequestRecord, in_flight, one_line

log = logging.getLogger("tetradx.requests")
database_log = logging.getLogger("tetradx.database")


def watch_requests() -> threading.Thread:
    """Starts the watch of this process. Called after the fork, which threads do not survive."""
    watch = threading.Thread(target=watch_for_ever, name="request-watch", daemon=True)
    watch.start()
    return watch


def watch_for_ever() -> None:
    interval_seconds = min(1.0, settings.REQUEST_DEADLINE_SECONDS / 4)
    while True:
        for look in (report_overdue, cut_off_unanswered):
            try:
                look()
            except Exception:
                # Whatever failed, the next request that hangs must be logged, too.
                log.exception("The watch over requests stumbled, and goes on.")
        time.sleep(interval_seconds)


def report_overdue() -> None:
    """Logs, once each, the requests older than REQUEST_DEADLINE_SECONDS."""
    for record in list(in_flight.values()):
        if record.seconds >= settings.REQUEST_DEADLINE_SECONDS:
            report_once(record)


def cut_off_unanswered() -> None:
    """Ends the requests whose database does not even cancel a statement in time.

    A database that is frozen, or has a frozen disk, would otherwise hold their threads.
    """
    now = time.monotonic()
    for thread_id, (connection, since) in list(waiting.items()):
        if now - since < settings.DB_UNANSWERED_SECONDS:
            continue
        record = in_flight.get(thread_id)
        if record:
            report_once(record)
        database_log.warning(
            "It has answered nothing for %.0f s, nor ended the statement: connection cut off.",
            now - since,
            extra={"request_id": record.id if record else "-"},
        )
        connection.shut_down()


def report_aborted() -> None:
    """Logs every request that is lost with a worker that gunicorn aborts."""
    for record in list(in_flight.values()):
        report(record, "was cut off with its worker, which gunicorn aborted")


def report_once(record: RequestRecord) -> None:
    if not record.is_reported:
        record.is_reported = True
        report(record, "is still not answered")


def report(record: RequestRecord, what_happened: str) -> None:
    """Logs an ERROR with the word timeout, the pending statement and the stack of the thread.

    A stack holds names and lines of code, but no values.
    """
    if statement := record.statement:
        waits_for = one_line(statement)
    elif record.thread_id in waiting:
        waits_for = "to check a connection, or to commit"
    else:
        waits_for = "no"
    frame = sys._current_frames().get(record.thread_id)
    log.error(
        "timeout: %s %s after %.0f s; user_id=%s; waits for the database: %s; stack:\n%s",
        record,
        what_happened,
        record.seconds,
        record.user_id or "-",
        waits_for,
        "".join(traceback.format_stack(frame)) if frame else "(none)",
        extra={"request_id": record.id},
    )
