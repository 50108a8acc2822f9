"""Phone numbers: stored as written, and found by any spelling."""

import re

import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError

# Contact apps put direction marks around a number; other programs add soft hyphens and the like.
INVISIBLE = r"\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
SEPARATOR = rf"[\s\-‐-―.()\[\]{INVISIBLE}]"  # noqa: RUF001 (people paste these dashes)
SEPARATORS = re.compile(SEPARATOR)
WELL_FORMED = re.compile(r"\+?[0-9]{7,15}")
# The pattern of a number before it is cleaned, for the API's schema.
AS_WRITTEN = rf"{SEPARATOR}*\+?({SEPARATOR}*[0-9]){{7,15}}{SEPARATOR}*"


def clean_phone_number(text: str) -> str:
    """Removes spaces, dashes, dots, brackets and invisible characters, and validates nothing."""
    return SEPARATORS.sub("", text)


def validate_phone_number(number: str) -> None:
    """Raises ValidationError unless the cleaned number is 7 to 15 digits with an optional +."""
    if not WELL_FORMED.fullmatch(number):
        raise ValidationError("Enter a phone number of 7 to 15 digits, with an optional leading +.")


def phone_key(text: str) -> str:
    """Returns the key that all spellings of a number share.

    The key is the E.164 form where the number is valid in PHONE_DEFAULT_REGION; else its digits,
    without a 00 that means +; else (scripts may store a text that is not a number) the text itself.
    """
    number = with_plus(clean_phone_number(text))
    region = settings.PHONE_DEFAULT_REGION
    parsed = parse(number, region)
    if parsed is not None and phonenumbers.is_valid_number_for_region(parsed, region):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return re.sub(r"[^0-9]", "", number) or number


def with_plus(number: str) -> str:
    """Replaces `00` before a country code by +, where that makes a valid number."""
    if number.startswith("00"):
        international = f"+{number[2:]}"
        parsed = parse(international)
        if parsed is not None and phonenumbers.is_valid_number(parsed):
            return international
    return number


def parse(number: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
