import sys
from typing import Any
from urllib.parse import quote, unquote

from django.conf import settings
from django.utils.module_loading import import_string
from gunicorn.glogging import Logger as GunicornLogger

# What the middleware knows, and puts into the WSGI environment.
FROM_DJANGO = ("sql_ms", "queries", "user_id")


class Logger(GunicornLogger):
    """gunicorn's lines in the format of all others, without what a client could put there.

    Neither a patient's name, which a query may hold, nor a line break to forge lines with.
    """

    def setup(self, cfg):
        super().setup(cfg)
        new_formatter = import_string(settings.LOG_FORMATTERS[settings.LOG_FORMAT])
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(new_formatter())

    def access(self, resp, req, environ, request_time):
        """One line for a request, once it is answered, be it by gunicorn alone.

        Then the response has no more than its `status`, and the environment no path.
        """
        milliseconds = 1000 * request_time.total_seconds()
        path = environ.get("PATH_INFO") or unquote(req.path or "", errors="replace")
        fields: dict[str, Any] = {
            "method": environ.get("REQUEST_METHOD"),
            # In ASCII, as it came: Django has decoded it, and it may hold a line break.
            "path": quote(path, errors="replace"),
            "status": int(resp.status.split()[0]),
            "ms": round(milliseconds, 1),
            **{name: environ.get(f"tetradx.{name}") for name in FROM_DJANGO},
            "bytes": resp.sent,
            "address": environ.get("tetradx.address") or environ.get("REMOTE_ADDR"),
        }
        method, quoted_path, *others = fields.items()
        pairs = " ".join(f"{name}={'-' if value is None else value}" for name, value in others)
        self.access_log.info(
            "%s %s %s",
            method[1],
            quoted_path[1],
            pairs,
            extra={"fields": fields, "request_id": environ.get("tetradx.request_id") or "-"},
        )

    def warning(self, msg, *args, **kwargs):
        if str(msg).startswith("Invalid request from"):
            # It quotes the request line, in which a search text may stand.
            address = str(msg).partition(": ")[0]
            msg, args = "%s: %s", (address, (sys.exc_info()[0] or Exception).__name__)
        super().warning(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        super().exception(msg, *(str(arg).split("?")[0] for arg in args), **kwargs)
