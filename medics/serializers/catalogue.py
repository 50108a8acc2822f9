from decimal import Decimal

from rest_framework import serializers

from _tetradx.api.fields import DecimalField, NameField, RowIdField, ShortListField, TextField
from _tetradx.api.schema_examples import example
from _tetradx.values.names import clean_name

from ..models import Facility

# More than any laboratory has; a request for more would keep a worker busy for minutes.
MAX_TESTS_OF_TYPE = 1000
MAX_FACILITIES = 1000


class UpperCaseNameField(NameField):
    """A name of the catalogue, trimmed and in upper case."""

    def to_internal_value(self, data):
        return clean_name(super().to_internal_value(data).upper())


class NewTestForm(serializers.Serializer):
    name = UpperCaseNameField()
    price = DecimalField(max_digits=10, decimal_places=2, min_value=Decimal(0), default=Decimal(0))


@example(
    {
        "name": "Haematology",
        "tests": [{"name": "Full blood count", "price": 60}, {"name": "Sickling"}],
    }
)
class AddTestTypesForm(serializers.Serializer):
    """Context: `own_facility`, of a facility administrator, and `is_operator`.

    Gives the facilities that get the type as `facilities`, and as `by_operator` whether the user
    names them as an operator.
    """

    name = UpperCaseNameField()
    tests = NewTestForm(many=True, allow_empty=False, max_length=MAX_TESTS_OF_TYPE)
    facility_ids = ShortListField(
        child=RowIdField(),
        max_length=MAX_FACILITIES,
        required=False,
        help_text="Of operators only, who must name them unless they administer a facility.",
    )
    otp = TextField(
        max_length=20,
        default="",
        allow_blank=True,
        help_text="A code of an operator's authenticator app, where the admin site asks for one.",
    )

    def validate(self, attrs):
        ids = attrs.pop("facility_ids", [])
        by_operator = self.context["is_operator"] and bool(ids)
        if not by_operator:
            facilities = [self.context["own_facility"]]
        else:
            facilities = list(Facility.objects.filter(id__in=ids).order_by("id"))
        if None in facilities:
            raise serializers.ValidationError({"facility_ids": "This field is required."})
        if by_operator and len(facilities) < len(set(ids)):
            raise serializers.ValidationError(
                {"facility_ids": "Facility with the given ID does not exist."}
            )
        return {**attrs, "facilities": facilities, "by_operator": by_operator}


class AddedTestSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    price = serializers.FloatField(help_text="In cedis.")


@example(
    {
        "name": "HAEMATOLOGY",
        "tests": [
            {"id": 11, "name": "FULL BLOOD COUNT", "price": 60.0},
            {"id": 12, "name": "SICKLING", "price": 0.0},
        ],
    }
)
class AddedTestTypeSerializer(serializers.Serializer):
    name = serializers.CharField()
    tests = AddedTestSerializer(many=True)
