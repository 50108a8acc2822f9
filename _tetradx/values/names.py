"""Names and identifiers as they are stored: in NFC, and visible."""

import unicodedata
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from .normal_forms import normalized

# Unassigned and private characters, marks that only show on a letter, and characters that separate
# or direct text.
UNSEEN_CATEGORIES = {"Cc", "Cf", "Cn", "Co", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"}
# Blank characters of a visible category: the fillers of Hangul, the empty Braille cell.
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Marks that never show, not even on a letter: joiners and variation selectors.
UNSEEN_MARKS = frozenset(
    chr(code)
    for codes in (
        (0x034F, 0x17B4, 0x17B5),
        range(0x180B, 0x1810),
        range(0xFE00, 0xFE10),
        range(0xE0100, 0xE01F0),
    )
    for code in codes
)


def is_visible(character: str) -> bool:
    """Tells whether the character shows on its own."""
    return unicodedata.category(character) not in UNSEEN_CATEGORIES and character not in BLANK


def shows_nowhere(character: str) -> bool:
    """Tells whether the character never shows.

    White space shows between words, and an accent on a letter.
    """
    if character.isspace():
        return False
    if character in BLANK or character in UNSEEN_MARKS:
        return True
    return unicodedata.category(character) in {"Cf", "Cn"}


def stripped(text: str, of: Callable[[str], bool]) -> str:
    """Returns the text in NFC, without the characters for which `of` holds at its ends."""
    start, end = 0, len(text)
    while start < end and of(text[start]):
        start += 1
    while start < end and of(text[end - 1]):
        end -= 1
    return normalized("NFC", text[start:end])


def clean_name(text: str) -> str:
    """Returns the text in NFC, without white space and invisible characters at its ends."""
    return stripped(text, lambda character: character.isspace() or shows_nowhere(character))


def validate_name(name: str) -> None:
    """Raises ValidationError where the name is invisible, or holds a control character."""
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ValidationError("Control characters are not allowed.", code="control_characters")
    if not any(map(is_visible, name)):
        raise ValidationError("Enter at least one visible character.", code="invisible")


def seen(value: Any) -> Any:
    """Cleans a text. Raises ValidationError where it has no visible character."""
    if not isinstance(value, str) or not value.strip():
        return value
    name = clean_name(value)
    validate_name(name)
    return name


class NameFormField(forms.CharField):
    default_validators = [validate_name]

    def to_python(self, value: Any) -> Any:
        return seen(super().to_python(value))


class NameField(models.CharField):
    """A name, cleaned and validated in forms.

    A name that scripts save is put into NFC without invisible characters at its ends, and not
    validated.
    """

    default_validators = [validate_name]

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return super().clean(seen(value), model_instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = getattr(model_instance, self.attname)
        if isinstance(value, str):
            value = stripped(value, shows_nowhere)
            setattr(model_instance, self.attname, value)
        return value

    def formfield(
        self, form_class: Any = NameFormField, choices_form_class: Any = None, **kwargs: Any
    ) -> Any:
        return super().formfield(
            form_class=form_class, choices_form_class=choices_form_class, **kwargs
        )
