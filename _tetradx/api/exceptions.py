"""The errors that the service itself raises; `error_handlers` formats them."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import psycopg2
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, RestrictedError
from psycopg2 import errorcodes
from rest_framework import exceptions

RETRY_AFTER_SECONDS = 5


class BadRequest(exceptions.APIException):
    """A 400 whose detail is one sentence, for an error that does not belong to one field."""

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


# The errors that a concurrent change can cause. Any other violation (a missing value, a check) is a
# bug, and trying again does not help.
CONCURRENT_CHANGE_SQLSTATES = {
    errorcodes.UNIQUE_VIOLATION,
    errorcodes.FOREIGN_KEY_VIOLATION,
    errorcodes.RESTRICT_VIOLATION,
    errorcodes.EXCLUSION_VIOLATION,
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
}


def is_concurrent_change(error: BaseException) -> bool:
    """Tells whether a concurrent change may have caused this error of the database or the ORM."""
    if isinstance(error, ProtectedError | RestrictedError):
        return True
    return getattr(error.__cause__, "pgcode", None) in CONCURRENT_CHANGE_SQLSTATES


@contextmanager
def refuse_broken_rule(*, constraints: set[str], field: str, message: str) -> Iterator[None]:
    """Raises ValidationError under `field` where one of the named constraints is violated.

    The transaction is then aborted, and ends with the error.
    """
    try:
        yield
    except IntegrityError as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg2.Error) or cause.diag.constraint_name not in constraints:
            raise
        raise exceptions.ValidationError({field: [message]}) from None


@contextmanager
def refuse_duplicate(*, constraints: set[str], field: str, message: str) -> Iterator[None]:
    """Lets the database decide whether a value is taken: a check beforehand would lose races.

    Raises ValidationError under `field` where one of the named constraints is violated; the
    transaction around it, if any, can go on.
    """
    rule = refuse_broken_rule(constraints=constraints, field=field, message=message)
    with rule, transaction.atomic():
        yield
