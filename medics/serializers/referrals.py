import unicodedata
from typing import Any

from rest_framework import serializers

from _tetradx.api.fields import NameField, RowIdField, ShortListField, TextField
from _tetradx.api.schema_examples import example
from _tetradx.values.names import clean_name
from authentication.fields import PhoneNumberField

from ..choices import ReferralStatus, TestStatus
from ..pagination import PageForm, PaginationSerializer
from ..referral_fields import (
    CREATED_REFERRAL,
    ONE_REFERRAL,
    PRACTITIONERS_ROW,
    TECHNICIANS_ROW,
    Fields,
    FieldsSerializer,
    example_of,
)

MAX_TESTS = 100
MAX_NOTES_CHARACTERS = 2000

# Notes are pasted with white space of every kind. Any other control character is refused, since it
# could steer a terminal.
LAYOUT = frozenset("\t\n\v\f\r\x85")


def validate_notes(notes: str) -> None:
    if any(unicodedata.category(character) == "Cc" for character in set(notes) - LAYOUT):
        raise serializers.ValidationError("Control characters are not allowed.")


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and clean_name(value) == "")


@example(
    {
        "patient_full_name_or_id": "Akosua Mensah",
        "patient_contact_number": "0208123456",
        "tests": [11],
        "branch_id": 3,
        "clinical_notes": "Fever for three days.",
    }
)
class CreateReferralForm(serializers.Serializer):
    patient_full_name_or_id = NameField()
    patient_id = NameField(
        max_length=None,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="May stand in place of `patient_full_name_or_id`, for identifiers.",
    )
    patient_contact_number = PhoneNumberField(required=False, allow_blank=True, allow_null=True)
    tests = ShortListField(child=RowIdField(), allow_empty=False, max_length=MAX_TESTS)
    branch_id = RowIdField()
    clinical_notes = TextField(
        max_length=MAX_NOTES_CHARACTERS,
        required=False,
        allow_blank=True,
        allow_null=True,
        validators=[validate_notes],
    )

    def to_internal_value(self, data):
        key = "patient_full_name_or_id"
        if isinstance(data, dict) and is_blank(data.get(key)):
            identifier = data.get("patient_id")
            if not is_blank(identifier):
                data = {**data, key: identifier}
        return super().to_internal_value(data)

    def validate(self, attrs):
        return {
            "patient_full_name_or_id": attrs["patient_full_name_or_id"],
            "patient_contact_number": attrs.get("patient_contact_number") or "",
            "test_ids": attrs["tests"],
            "branch_id": attrs["branch_id"],
            "clinical_notes": attrs.get("clinical_notes") or "",
        }


@example({"status": "Received"})
class ReferralStatusForm(serializers.Serializer):
    status = serializers.ChoiceField(TestStatus)


class ReferralListForm(PageForm):
    search_query = TextField(
        required=False,
        allow_blank=True,
        help_text=(
            "Text that occurs, whatever its case, in the name of the patient, branch, facility, "
            "doctor, a test or its type; or the referral's id."
        ),
    )
    status = serializers.ChoiceField(ReferralStatus, required=False)
    branch_id = RowIdField(required=False)
    referred_from = serializers.DateField(required=False, help_text="UTC, inclusive.")
    referred_to = serializers.DateField(required=False, help_text="UTC, inclusive.")


class TechnicianReferralListForm(ReferralListForm):
    sort_by = serializers.ChoiceField(
        ["time", "doctor", "name"], default="time", help_text="`name` is the doctor's, too."
    )
    sort_type = serializers.ChoiceField(["asc", "desc"], default="desc")


@example(
    {
        "test_id": 901,
        "test_name": "FULL BLOOD COUNT",
        "test_type_name": "HAEMATOLOGY",
        "status": "Completed",
        "referral_id": "7QK2M9XA0B",
        "updated_at": "2026-03-02T10:40:00.000000Z",
        "completed_at": "2026-03-02T10:40:00.000000Z",
    }
)
class UpdatedTestSerializer(serializers.Serializer):
    test_id = serializers.IntegerField(source="id", help_text="Of the test within the referral.")
    test_name = serializers.CharField(source="test.name")
    test_type_name = serializers.CharField(source="test.test_type.name")
    status = serializers.ChoiceField(TestStatus)
    referral_id = serializers.CharField()
    updated_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)


@example(example_of(CREATED_REFERRAL))
class CreatedReferralSerializer(FieldsSerializer):
    """The referral as it was created."""

    shows = CREATED_REFERRAL


@example(example_of(ONE_REFERRAL))
class ReferralDetailSerializer(FieldsSerializer):
    """The referral as it is now."""

    shows = ONE_REFERRAL


class ReferralRowSerializer(FieldsSerializer):
    """A referral in its practitioner's list."""

    shows = PRACTITIONERS_ROW


class TechnicianReferralRowSerializer(FieldsSerializer):
    """A referral in the list of its branch's staff."""

    shows = TECHNICIANS_ROW


class TotalsSerializer(serializers.Serializer):
    total_referrals = serializers.IntegerField()
    total_completed = serializers.IntegerField()
    total_pending = serializers.IntegerField()
    total_received = serializers.IntegerField()
    total_cancelled = serializers.IntegerField()


def page_of(row_fields: Fields) -> dict[str, Any]:
    """Return the example of a list whose only row shows these fields."""
    return {
        "referrals": [example_of(row_fields)],
        "data_summary": {
            "total_referrals": 1,
            "total_completed": 0,
            "total_pending": 1,
            "total_received": 0,
            "total_cancelled": 0,
        },
        "pagination": {
            "current_page": 1,
            "page_size": 10,
            "total_pages": 1,
            "total_referrals": 1,
            "has_next": False,
            "has_previous": False,
            "next_cursor": None,
            "previous_cursor": None,
            "total_is_capped": False,
        },
    }


@example(page_of(PRACTITIONERS_ROW))
class PractitionerReferralsSerializer(serializers.Serializer):
    referrals = ReferralRowSerializer(many=True)
    data_summary = TotalsSerializer()
    pagination = PaginationSerializer()


@example(page_of(TECHNICIANS_ROW))
class TechnicianReferralsSerializer(PractitionerReferralsSerializer):
    referrals = TechnicianReferralRowSerializer(many=True)
