import sys
from urllib.parse import quote

from gunicorn.glogging import Logger as GunicornLogger


class Logger(GunicornLogger):
    """Keeps out of gunicorn's lines what a client can put there to mislead, or a patient's name."""

    def atoms(self, resp, req, environ, request_time):
        """The path as it came, in ASCII: decoded, it may hold a line break."""
        atoms = super().atoms(resp, req, environ, request_time)
        return {**atoms, "U": quote(environ.get("PATH_INFO", ""), encoding="latin-1")}

    def warning(self, msg, *args, **kwargs):
        if str(msg).startswith("Invalid request from"):
            # It quotes the request line, in which a search text may stand.
            address = str(msg).partition(": ")[0]
            msg, args = "%s: %s", (address, (sys.exc_info()[0] or Exception).__name__)
        super().warning(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        super().exception(msg, *(str(arg).split("?")[0] for arg in args), **kwargs)
