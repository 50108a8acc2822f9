from django.conf import settings
from drf_orjson_renderer.parsers import ORJSONParser

from .exceptions import RequestTooLarge


class JSONParser(ORJSONParser):
    """JSON in UTF-8 up to MAX_BODY_BYTES.

    orjson refuses what Python's json lets through and PostgreSQL or the stack would choke on:
    lone surrogates and a thousand nested brackets.
    """

    def parse(self, stream, media_type=None, parser_context=None):
        body_bytes = int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)
        if body_bytes > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestTooLarge
        return super().parse(stream, media_type, {**parser_context, "encoding": "utf-8"})
