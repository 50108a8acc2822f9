"""The errors that the service raises itself; `error_handlers` gives them their shape."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import psycopg2
from django.db import IntegrityError, transaction
from rest_framework import exceptions

RETRY_AFTER_SECONDS = 5


class BadRequest(exceptions.APIException):
    """A 400 whose detail is one sentence, for what is wrong with no single field."""

    status_code = HTTPStatus.BAD_REQUEST
    default_detail = "Bad request."


class Conflict(exceptions.APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = "This was changed by somebody else at the same time. Try again."


class RequestTooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request is too large."


class ServiceUnavailable(exceptions.APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The service cannot answer just now. Try again in a few seconds."
    wait = RETRY_AFTER_SECONDS


@contextmanager
def refuse_duplicate(*, constraints: set[str], field: str, message: str) -> Iterator[None]:
    """Lets the database decide whether a value is taken, since looking first loses races.

    Raises ValidationError under `field` where one of the named constraints is violated.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg2.Error) or cause.diag.constraint_name not in constraints:
            raise
        raise exceptions.ValidationError({field: [message]}) from None
