"""Names and identifiers as they are kept: in NFC, and such that a person can see them."""

import unicodedata
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from .normal_forms import normalized

# Unassigned ones, marks that show only on a letter, and whatever merely separates or directs.
# Private characters look like nothing that anybody could agree on.
UNSEEN_CATEGORIES = {"Cc", "Cf", "Cn", "Co", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"}
# Letters and signs by their category, and yet blank: fillers of Hangul, the empty Braille cell.
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Marks that never show, not even on a letter: joiners and selectors of variants.
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
    """On its own."""
    return unicodedata.category(character) not in UNSEEN_CATEGORIES and character not in BLANK


def shows_nowhere(character: str) -> bool:
    """No white space, which shows between words; no accent, which shows on a letter."""
    if character.isspace():
        return False
    if character in BLANK or character in UNSEEN_MARKS:
        return True
    return unicodedata.category(character) in {"Cf", "Cn"}


def stripped(text: str, of: Callable[[str], bool]) -> str:
    """In NFC, without such characters at the ends."""
    start, end = 0, len(text)
    while start < end and of(text[start]):
        start += 1
    while start < end and of(text[end - 1]):
        end -= 1
    return normalized("NFC", text[start:end])


def clean_name(text: str) -> str:
    """In NFC, without white space and invisible characters at the ends. Nothing else is judged."""
    return stripped(text, lambda character: character.isspace() or shows_nowhere(character))


def validate_name(name: str) -> None:
    """Raises ValidationError where nobody could see the name, or it holds a control character."""
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ValidationError("Control characters are not allowed.", code="control_characters")
    if not any(map(is_visible, name)):
        raise ValidationError("Enter at least one visible character.", code="invisible")


def seen(value: Any) -> Any:
    """A text, cleaned. Raises ValidationError where nothing is left of it."""
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
    """A name as forms take it: clean, and such that a person can see it.

    What scripts save is put into NFC without invisible characters at the ends, and kept else.
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
