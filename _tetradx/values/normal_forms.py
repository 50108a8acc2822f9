"""Unicode's normal forms, at a cost that no client chooses."""

import unicodedata
from itertools import groupby
from typing import Literal
from unicodedata import combining

# A name has 255 characters at most, and four at most become one: what is longer than this is no
# name and is told so by its length; of a password it is compared as typed.
MAX_CHARACTERS = 1_024
# Python puts marks into their order one by one, which costs the square of their number.
FEW_CHARACTERS = 64

# They are no marks by their class, and yet nothing but marks when taken apart, as in every form.
MARKS_IN_PAIRS = str.maketrans(
    {"\u0f73": "\u0f71\u0f72", "\u0f75": "\u0f71\u0f74", "\u0f81": "\u0f71\u0f80"}
)


def normalized(form: Literal["NFC", "NFKC"], text: str) -> str:
    """The text as it is where it has more than MAX_CHARACTERS."""
    if len(text) > MAX_CHARACTERS:
        return text
    if len(text) > FEW_CHARACTERS and not text.isascii():
        text = with_marks_in_order(text)
    return unicodedata.normalize(form, text)


def with_marks_in_order(text: str) -> str:
    """The same text to Unicode: after a letter, marks of different classes have no order."""
    runs = groupby(text.translate(MARKS_IN_PAIRS), key=lambda character: combining(character) > 0)
    return "".join(
        "".join(sorted(run, key=combining) if are_marks else run) for are_marks, run in runs
    )
