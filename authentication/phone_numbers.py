"""Phone numbers as the contract has them: kept as written, the same in every spelling."""

import re

import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError

SEPARATOR = r"[\s\-‐-―.()\[\]]"  # noqa: RUF001 (people paste these dashes)
SEPARATORS = re.compile(SEPARATOR)
WELL_FORMED = re.compile(r"\+?[0-9]{7,15}")
# The same before it is cleaned, for the API's schema.
AS_WRITTEN = rf"{SEPARATOR}*\+?({SEPARATOR}*[0-9]){{7,15}}{SEPARATOR}*"


def clean_phone_number(text: str) -> str:
    """Without spaces, dashes, dots and brackets. Nothing else is judged."""
    return SEPARATORS.sub("", text)


def validate_phone_number(number: str) -> None:
    """Raises ValidationError unless the cleaned number is 7 to 15 digits with an optional +."""
    if not WELL_FORMED.fullmatch(number):
        raise ValidationError("Enter a phone number of 7 to 15 digits, with an optional leading +.")


def phone_key(text: str) -> str:
    """What two spellings of one number share.

    The E.164 form where the number is valid in PHONE_DEFAULT_REGION; else its digits; else (scripts
    may store what is no number) the text itself.
    """
    number = clean_phone_number(text)
    region = settings.PHONE_DEFAULT_REGION
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is not None and phonenumbers.is_valid_number_for_region(parsed, region):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return re.sub(r"[^0-9]", "", number) or number
