import sys
from typing import Any
from urllib.parse import quote, unquote

from django.conf import settings
from django.utils.module_loading import import_string
from gunicorn.glogging import Logger as GunicornLogger

# The values that the middleware puts into the WSGI environment.
FROM_DJANGO = ("sql_ms", "queries", "user_id")


class Logger(GunicornLogger):
    """gunicorn's log in the format of all other lines, without anything that a client could inject.

    A query may hold a patient's name, and a line break could forge a line.
    """

    def setup(self, cfg):
        super().setup(cfg)
        new_formatter = import_string(settings.LOG_FORMATTERS[settings.LOG_FORMAT])
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(new_formatter())

    def access(self, resp, req, environ, request_time):
        """Logs one line for each answered request.

        Where gunicorn itself refused the request, the response only has a `status`, and the
        environment has no path.
        """
        milliseconds = 1000 * request_time.total_seconds()
        path = environ.get("PATH_INFO") or unquote(req.path or "", errors="replace")
        fields: dict[str, Any] = {
            "method": environ.get("REQUEST_METHOD"),
            # Quoted again: Django has decoded the path, which may hold a line break.
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
            # The message quotes the request line, which may hold a search text.
            address = str(msg).partition(": ")[0]
            msg, args = "%s: %s", (address, (sys.exc_info()[0] or Exception).__name__)
        super().warning(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        super().exception(msg, *(str(arg).split("?")[0] for arg in args), **kwargs)
