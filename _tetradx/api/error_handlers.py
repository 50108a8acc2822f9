"""The one place that shapes errors: `{"status": "error", "code": "400", "detail": …}`."""

import logging
import sys
from collections.abc import Iterator
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework.views import set_rollback

from _tetradx.observability.logs import database_fault

from .exceptions import (
    RETRY_AFTER_SECONDS,
    BadRequest,
    Conflict,
    RequestTooLarge,
    ServiceUnavailable,
    is_concurrent_change,
)
from .renderers import PlainRenderer

log = logging.getLogger("tetradx.database")

JSON = PlainRenderer()

UNREADABLE = "The request ended before its body did."


def exception_handler(exc: Exception, context: dict) -> Response | None:
    """DRF's hook. Returns None for an unforeseen error: Django logs it and calls `server_error`."""
    api_exception = as_api_exception(exc)
    if isinstance(exc, OperationalError | InterfaceError):
        # One line without a traceback: there are many while the database is away.
        log.warning("The database is away or gave up: %s", database_fault(exc))
    elif isinstance(exc, DatabaseError) and api_exception is not exc:
        log.warning("The database refused a statement", exc_info=exc)
    response = drf_exception_handler(api_exception, context)
    if response is not None:
        set_rollback()
        response.data = error_body(response.status_code, detail_of(response.data))
        # Errors are JSON, even on routes that serve another format.
        request = context["request"]
        request.accepted_renderer, request.accepted_media_type = JSON, JSON.media_type
    return response


def as_api_exception(exc: Exception) -> Exception:
    """Turns an error of the database or of Django into the error that the client gets."""
    if isinstance(exc, DatabaseError) and is_concurrent_change(exc):
        return Conflict()
    if isinstance(exc, OperationalError | InterfaceError):
        return ServiceUnavailable()
    if isinstance(exc, DataError):
        return BadRequest("A value is out of range.")
    if isinstance(exc, RequestDataTooBig):
        return RequestTooLarge()
    if isinstance(exc, UnreadablePostError):
        return BadRequest(UNREADABLE)
    return exc


def error_body(code: int, detail: object) -> dict:
    return {"status": "error", "code": str(int(code)), "detail": detail}


def detail_of(data: object) -> str | dict[str, list[str]]:
    """Turns the data of an error of DRF or simplejwt into a string or {field: [string, ...]}."""
    if isinstance(data, list):
        return " ".join(sentences(data))
    if isinstance(data, dict):
        if "detail" in data and not isinstance(data["detail"], list):
            return str(data["detail"])
        return {str(field): list(sentences(errors)) for field, errors in data.items()}
    return str(data)


def sentences(errors: object) -> Iterator[str]:
    """Yields the errors of nested fields and items, each with its path: "2: price: A valid …"."""
    if isinstance(errors, dict):
        for key, nested in errors.items():
            where = f"{int(key) + 1}" if isinstance(key, int) else str(key)
            yield from (f"{where}: {sentence}" for sentence in sentences(nested))
    elif isinstance(errors, list):
        for position, nested in enumerate(errors, start=1):
            where = f"{position}: " if isinstance(nested, dict) else ""
            yield from (f"{where}{sentence}" for sentence in sentences(nested))
    else:
        yield str(errors)


def error_view(status: HTTPStatus, admin_view, detail: str = ""):
    """Makes a Django error handler: the envelope for clients, Django's page in the admin site."""

    def view(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if request.path.startswith(f"/{settings.ADMIN_PATH}"):
            return admin_view(request, *args, **kwargs)
        return JsonResponse(error_body(status, detail or f"{status.phrase}."), status=status)

    return view


bad_request = error_view(HTTPStatus.BAD_REQUEST, defaults.bad_request)
permission_denied = error_view(HTTPStatus.FORBIDDEN, defaults.permission_denied)
page_not_found = error_view(HTTPStatus.NOT_FOUND, defaults.page_not_found)
crashed = error_view(HTTPStatus.INTERNAL_SERVER_ERROR, defaults.server_error)


def plain_page(status: HTTPStatus, details: object) -> HttpResponse:
    """Makes a page without a template of the admin site, which would query who is signed in."""
    page = defaults.ERROR_PAGE_TEMPLATE % {"title": status.phrase, "details": details}
    return HttpResponse(page, status=status)


def unavailable_page(request: HttpRequest) -> HttpResponse:
    return plain_page(HTTPStatus.SERVICE_UNAVAILABLE, ServiceUnavailable.default_detail)


def too_large_page(request: HttpRequest) -> HttpResponse:
    return plain_page(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, RequestTooLarge.default_detail)


def unreadable_page(request: HttpRequest) -> HttpResponse:
    return plain_page(HTTPStatus.BAD_REQUEST, UNREADABLE)


def length_required_page(request: HttpRequest) -> HttpResponse:
    return plain_page(HTTPStatus.LENGTH_REQUIRED, HTTPStatus.LENGTH_REQUIRED.description)


too_large = error_view(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large_page, RequestTooLarge.default_detail
)
unreadable = error_view(HTTPStatus.BAD_REQUEST, unreadable_page, UNREADABLE)
# Only the development server needs this: it does not decode chunks.
length_required = error_view(
    HTTPStatus.LENGTH_REQUIRED, length_required_page, HTTPStatus.LENGTH_REQUIRED.description
)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Replaces Django's page, which has an inline style. The log says the reason."""
    details = "This form is too old, or came from another site. Go back, reload it and try again."
    return plain_page(HTTPStatus.FORBIDDEN, details)


unavailable = error_view(HTTPStatus.SERVICE_UNAVAILABLE, unavailable_page)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answers an error outside of DRF's views: in the admin site or in middleware."""
    error = sys.exception()
    if isinstance(error, Exception) and isinstance(as_api_exception(error), ServiceUnavailable):
        response = unavailable(request)
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    return crashed(request)
