import logging
import re
import time
import uuid

from django.db import connection

from .logs import current_request_id

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestIdMiddleware:
    """Gives every request an id that its log lines and its answer carry.

    A sane X-Request-ID of the caller is kept; anything else could forge log lines.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        sent = request.headers.get("X-Request-ID", "")
        request.id = sent if SANE_REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
        # Not reset afterwards: Django logs a failed request once the middleware is done with it,
        # and the thread's next request sets its own.
        current_request_id.set(request.id)
        response = self.get_response(request)
        response["X-Request-ID"] = request.id
        return response


class SqlCountMiddleware:
    """In development: a line per request with the number of its statements and their time."""

    log = logging.getLogger("tetradx.sql")

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        seconds = []

        def timed(execute, sql, params, many, context):
            start = time.perf_counter()
            try:
                return execute(sql, params, many, context)
            finally:
                seconds.append(time.perf_counter() - start)

        with connection.execute_wrapper(timed):
            response = self.get_response(request)
        self.log.info(
            "%s %s %s: %d queries, %.1f ms in SQL",
            request.method,
            request.path,
            response.status_code,
            len(seconds),
            sum(seconds) * 1000,
        )
        return response
