from decimal import Decimal
from typing import Any

from django.db.models import BigIntegerField
from rest_framework import serializers

from _tetradx.values.names import clean_name, validate_name
from _tetradx.values.numbers import DECIMAL_NUMBER, WHOLE_NUMBER, without_negative_zero


class TextField(serializers.CharField):
    """Text. Of JSON's numbers it only accepts integers, as their digits.

    A spreadsheet writes a phone number as 209000111.0, which would get another digit; and a float
    of twenty digits was rounded when it was parsed.
    """

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, float):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not WHOLE_NUMBER.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class DecimalField(serializers.DecimalField):
    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, str) and not DECIMAL_NUMBER.fullmatch(data):
            self.fail("invalid")
        return without_negative_zero(super().to_internal_value(data))


class RowIdField(WholeNumberField):
    """The id of a row, as a number or as its string; 400 beyond the column's range."""

    def __init__(self, **kwargs):
        super().__init__(max_value=BigIntegerField.MAX_BIGINT, min_value=0, **kwargs)


class ShortListField(serializers.ListField):
    """Refuses a list that is too long before it validates the items, which could take minutes."""

    def to_internal_value(self, data):
        if isinstance(data, list) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class NameField(TextField):
    """A name or an identifier, cleaned; 400 where it is invisible."""

    def __init__(self, **kwargs):
        super().__init__(**{"max_length": 255, **kwargs})
        self.validators.append(validate_name)

    def to_internal_value(self, data):
        return clean_name(super().to_internal_value(data))

    def run_validators(self, value):
        if value != "" or not self.allow_blank:
            super().run_validators(value)
