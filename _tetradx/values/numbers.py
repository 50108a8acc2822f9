"""The notation of numbers in a query, a body, a form or a sheet: the digits 0 to 9.

Python's own int() and Decimal() also take "1_0" for ten, and the digits of other scripts.
"""

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.0*)?\s*")
DECIMAL_NUMBER = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")


def without_negative_zero(number: Decimal) -> Decimal:
    return abs(number) if number == 0 else number


class DecimalFormField(forms.DecimalField):
    def to_python(self, value: Any) -> Any:
        is_written = isinstance(value, str) and value not in self.empty_values
        if is_written and not DECIMAL_NUMBER.fullmatch(value):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        number = super().to_python(value)
        return number if number is None else without_negative_zero(number)


class DecimalColumn(models.DecimalField):
    """Django's DecimalField with this notation. Migrations name Django's field."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and not DECIMAL_NUMBER.fullmatch(value):
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            )
        number = super().to_python(value)
        return number if number is None else without_negative_zero(number)

    def formfield(
        self, form_class: Any = DecimalFormField, choices_form_class: Any = None, **kwargs: Any
    ) -> Any:
        return super().formfield(
            form_class=form_class, choices_form_class=choices_form_class, **kwargs
        )

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DecimalField", args, kwargs
