"""The header `Idempotency-Key`: its form, and its description in the schema."""

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")

IDEMPOTENCY_KEY = OpenApiParameter(
    name="Idempotency-Key",
    location=OpenApiParameter.HEADER,
    type={"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    description=(
        "1 to 255 printable characters. Within 24 hours the same key gets the first answer again,"
        " with `Idempotent-Replayed: true`."
    ),
)


def idempotency_key(request: Request) -> str | None:
    """Return the request's key, None without the header.

    Raises ValidationError for a key that is empty, too long or not printable.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not PRINTABLE.fullmatch(key):
        raise ValidationError({"Idempotency-Key": ["It takes 1 to 255 printable characters."]})
    return key
