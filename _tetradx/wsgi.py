import os

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from _tetradx.observability.health import leaf_migrations

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")


class Request(WSGIRequest):
    """Survives a malformed Content-Type, which Django parses before any error handler runs.

    A charset is ignored, since JSON is UTF-8 (RFC 8259, 8.1). A header that cannot be parsed counts
    as missing, and is refused as such.
    """

    def _set_content_type_params(self, meta):
        try:
            self.content_type, self.content_params = parse_header_parameters(
                meta.get("CONTENT_TYPE", "")
            )
        except Exception:  # Python's email package raises anything here
            meta["CONTENT_TYPE"] = ""
            self.content_type, self.content_params = "", {}


application = get_wsgi_application()
application.request_class = Request

# Read before the fork, so that the workers need not read them.
leaf_migrations()
