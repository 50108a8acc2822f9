from django.conf import settings
from drf_orjson_renderer.parsers import ORJSONParser
from rest_framework.exceptions import ParseError

from .exceptions import RequestTooLarge

# No form nests deeper than three levels; code that walks far deeper data would overflow its stack.
DEEPEST_NESTING = 20


class JSONParser(ORJSONParser):
    """JSON in UTF-8, up to MAX_BODY_BYTES.

    orjson refuses the lone surrogates that Python's json lets through and PostgreSQL cannot store.
    """

    def parse(self, stream, media_type=None, parser_context=None):
        body_bytes = int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)
        if body_bytes > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestTooLarge
        data = super().parse(stream, media_type, {**parser_context, "encoding": "utf-8"})
        if is_deeper_than(DEEPEST_NESTING, data):
            raise ParseError("JSON parse error - nested too deep")
        return data


def is_deeper_than(levels: int, value: object) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(is_deeper_than(levels - 1, child) for child in value)
