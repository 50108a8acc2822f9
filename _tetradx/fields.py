from rest_framework import serializers

from .converters import BIGINT_MAX


class RowIdField(serializers.IntegerField):
    """The id of a row, as a number or as its string; 400 beyond the column's range."""

    def __init__(self, **kwargs):
        super().__init__(max_value=BIGINT_MAX, min_value=0, **kwargs)
