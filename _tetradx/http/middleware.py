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
    """Gives every request an id and a record, and passes the record on to gunicorn's access log.

    A sane X-Request-ID of the caller is sent back; any other could forge log lines. The log and the
    history have it before a generated id, as SENT/GENERATED, so that a caller cannot use the id of
    another request: a sane id has no slash.
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
            # Django sets the length of an empty body; the header would have to be the length of the
            # body that the client already has (RFC 9110, 8.6).
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

    Probes call the container itself, by an address that is not in ALLOWED_HOSTS, and without TLS.
    Where metrics have an address of their own, only they are served there, and nowhere else.
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
    """Refuses a body that is too large before it is read.

    Django's own limit leaves files out: anybody could fill the disk by a form of the admin site. A
    chunked body has no length, so that Django would take it for empty; it is read here, up to the
    limit.
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
    """Gives the request a body of a known length, whose chunks the server has put together.

    Raises RequestTooLarge, or UnreadablePostError where the chunks are malformed or incomplete.
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
    """Logs each request in development, and sends its cost to the browser's network panel.

    gunicorn, which writes the access log, does not run there. Errors of the client are answered as
    in production: Django's debug pages of 400 and 404 are only for the admin site. The debug page
    of a 500 stays.
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
        """Replaces the body, and keeps headers that others have set, such as those of CORS."""
        answer = self.answers.get(response.status_code)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if not answer or not is_page or request.path.startswith(f"/{settings.ADMIN_PATH}"):
            return
        ours = answer(request)
        response.content = ours.content
        response["Content-Type"] = ours["Content-Type"]
        if "Content-Length" in response.headers:
            response["Content-Length"] = len(ours.content)
