from rest_framework import serializers

from .converters import BIGINT_MAX
from .names import clean_name, validate_name


class RowIdField(serializers.IntegerField):
    """The id of a row, as a number or as its string; 400 beyond the column's range."""

    def __init__(self, **kwargs):
        super().__init__(max_value=BIGINT_MAX, min_value=0, **kwargs)


class ShortListField(serializers.ListField):
    """Refuses a list that is too long before it looks at the items, which could take minutes."""

    def to_internal_value(self, data):
        if isinstance(data, list) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class NameField(serializers.CharField):
    """A name or an identifier, as it is kept; 400 where nobody could see it."""

    def __init__(self, **kwargs):
        super().__init__(**{"max_length": 255, **kwargs})
        self.validators.append(validate_name)

    def to_internal_value(self, data):
        # JSON cannot keep a number of twenty digits: it is read as a float, and rounded.
        if isinstance(data, float):
            self.fail("invalid")
        return clean_name(super().to_internal_value(data))

    def run_validators(self, value):
        if value != "" or not self.allow_blank:
            super().run_validators(value)
