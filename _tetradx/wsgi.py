import os

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")


class Request(WSGIRequest):
    """Ignores the charset that a client names: JSON is UTF-8 (RFC 8259, 8.1).

    Django would decode the query with it, and fail before any of ours can answer.
    """

    def _set_content_type_params(self, meta):
        self.content_type, self.content_params = parse_header_parameters(
            meta.get("CONTENT_TYPE", "")
        )


application = get_wsgi_application()
application.request_class = Request
