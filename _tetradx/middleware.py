import re
import uuid

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
