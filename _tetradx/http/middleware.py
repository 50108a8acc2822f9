import io
import logging
import re
import uuid
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponse, UnreadablePostError

from _tetradx.api.error_handlers import (
    bad_request,
    length_required,
    page_not_found,
    too_large,
    unreadable,
)
from _tetradx.api.exceptions import RequestTooLarge
from _tetradx.db.audit_context import changes_come_from
from _tetradx.observability.health import healthz, readyz
from _tetradx.observability.logs import current_request_id
from _tetradx.observability.metrics import exposition
from _tetradx.observability.request_record import SENT_CHARACTERS, RequestRecord, in_flight

from .client_address import client_address

log = logging.getLogger("tetradx.requests")

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestRecordMiddleware:
    """Gives every request an id and a record, and tells gunicorn's access log what it says.

    A sane X-Request-ID of the caller is sent back; anything else could forge log lines. In the log
    and in the history it stands before an id of ours, SENT/OURS, so that no caller's can pass for
    that of another request: a sane one has no slash.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        sent = request.headers.get("X-Request-ID", "")
        ours = uuid.uuid4().hex
        is_sane = SANE_REQUEST_ID.fullmatch(sent)
        request.id = f"{sent[:SENT_CHARACTERS]}/{ours}" if is_sane else ours
        # Not reset afterwards: Django logs a failed request once the middleware is done with it,
        # and the thread's next request sets its own.
        current_request_id.set(request.id)
        record = request.record = RequestRecord(request)
        in_flight[record.thread_id] = record
        try:
            with changes_come_from(record), connection.execute_wrapper(record.measure_statement):
                response = self.get_response(request)
        finally:
            in_flight.pop(record.thread_id, None)
        response["X-Request-ID"] = sent if is_sane else ours
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            # Django's is that of an empty body; the one due is the body's that the client has
            # (RFC 9110, 8.6).
            del response["Content-Length"]
        request.META.update(
            {
                "tetradx.request_id": request.id,
                "tetradx.user_id": record.user_id,
                "tetradx.address": client_address(request.META),
                "tetradx.queries": record.queries,
                "tetradx.sql_ms": round(1000 * record.sql_seconds, 1),
            }
        )
        warn_of_cost(record)
        return response


def warn_of_cost(record: RequestRecord) -> None:
    is_slow = 1000 * record.seconds >= settings.SLOW_REQUEST_MS
    if is_slow or record.queries >= settings.MANY_QUERIES:
        log.warning(
            "%s: %s took %.0f ms, %.0f of them in %d queries; user_id=%s; repeated: %s",
            "slow request" if is_slow else "many queries",
            record,
            1000 * record.seconds,
            1000 * record.sql_seconds,
            record.queries,
            record.user_id or "-",
            record.repeated_statements(),
        )


class ProbeMiddleware:
    """Answers probes before anything looks at the host or the scheme of a request.

    They ask the container itself: by an address that ALLOWED_HOSTS does not have, and without TLS.
    Where metrics have an address of their own, they are there alone, and nothing else is.
    """

    def __init__(self, get_response):
        self.get_response = get_response
        self.probes: dict[str, Callable[[HttpRequest], HttpResponse]] = {
            "/healthz": healthz,
            "/readyz": readyz,
        }
        if settings.METRICS:
            self.probes["/metrics"] = exposition

    def __call__(self, request):
        path = request.path_info
        if settings.METRICS_PORT and (path == "/metrics") != (
            request.META["SERVER_PORT"] == settings.METRICS_PORT
        ):
            return page_not_found(request)
        return self.probes.get(path, self.get_response)(request)


class BodyLimitMiddleware:
    """Refuses what is too large before anybody reads it.

    Django's own limit leaves files out: anybody could fill the disk by a form of the admin's. A
    chunked body, which does not say its length and so would be none to Django, is read here, up to
    the limit.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if "HTTP_TRANSFER_ENCODING" in request.META:
            if not request.META.get("wsgi.input_terminated"):
                return length_required(request)
            try:
                take_chunked_body(request)
            except RequestTooLarge:
                return too_large(request)
            except UnreadablePostError:
                return unreadable(request)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return too_large(request)
        return self.get_response(request)


def take_chunked_body(request: WSGIRequest) -> None:
    """Gives the request a body of a known length. The server has taken the chunks apart.

    Raises RequestTooLarge, or UnreadablePostError where the chunks are none or end too early.
    """
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        body = request.META["wsgi.input"].read(limit + 1)
    except Exception as error:  # an OSError, or the server's own class
        raise UnreadablePostError(*error.args) from error
    if len(body) > limit:
        raise RequestTooLarge
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)


class DevelopmentMiddleware:
    """In development, where no gunicorn writes an access log: a line for each request, and its
    cost where the browser's network panel shows it.

    What is the client's fault is answered as in production: Django's debug pages of 400 and 404 are
    for the admin site alone. Of a crash they show where it was.
    """

    answers: dict[int, Callable[[HttpRequest], HttpResponse]] = {
        HTTPStatus.BAD_REQUEST: bad_request,
        HTTPStatus.NOT_FOUND: page_not_found,
    }

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        self.answer_as_in_production(request, response)
        record = request.record
        milliseconds, sql_ms = 1000 * record.seconds, 1000 * record.sql_seconds
        response["Server-Timing"] = (
            f'app;dur={milliseconds:.1f}, db;dur={sql_ms:.1f};desc="{record.queries} queries"'
        )
        log.info(
            "%s status=%d ms=%.1f sql_ms=%.1f queries=%d",
            record,
            response.status_code,
            milliseconds,
            sql_ms,
            record.queries,
        )
        return response

    def answer_as_in_production(self, request: HttpRequest, response: HttpResponse) -> None:
        """Leaves the headers that others have set, such as those for browsers of other origins."""
        answer = self.answers.get(response.status_code)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if not answer or not is_page or request.path.startswith(f"/{settings.ADMIN_PATH}"):
            return
        ours = answer(request)
        response.content = ours.content
        response["Content-Type"] = ours["Content-Type"]
        if "Content-Length" in response.headers:
            response["Content-Length"] = len(ours.content)
