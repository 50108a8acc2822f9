import unicodedata
from typing import Any

from rest_framework import serializers

from _tetradx.api.fields import NameField, RowIdField, ShortListField, TextField
from _tetradx.api.schema_examples import example
from _tetradx.values.names import clean_name
from authentication.fields import PhoneNumberField
from medics.pagination import PageForm, PaginationSerializer

from ..choices import ReferralStatus, TestStatus

MAX_TESTS = 100
MAX_NOTES_CHARACTERS = 2000

# What the schema shows as examples.
REFERRAL = {
    "referral_id": "7QK2M9XA0B",
    "patient_name_or_id": "Akosua Mensah",
    "facility_name": "Korle Laboratory",
    "branch_name": "Osu",
    "status": "Pending",
    "referred_at": "2026-03-02T08:15:00.000000Z",
    "tests": [
        {
            "test_id": 901,
            "test_name": "FULL BLOOD COUNT",
            "test_type_name": "HAEMATOLOGY",
            "status": "Pending",
            "created_at": "2026-03-02T08:15:00.000000Z",
        }
    ],
}
ROW = REFERRAL | {"clinical_notes": None, "test_type_name": "HAEMATOLOGY"}
PAGE = {
    "referrals": [ROW],
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


# White space of whatever kind is pasted into notes; what else steers a terminal has no place there.
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


class ReferralTestSerializer(serializers.Serializer):
    test_id = serializers.IntegerField(source="id", help_text="Of the test within the referral.")
    test_name = serializers.CharField(source="test.name")
    test_type_name = serializers.CharField(source="test.test_type.name")
    status = serializers.ChoiceField(TestStatus)
    created_at = serializers.DateTimeField()


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
class UpdatedTestSerializer(ReferralTestSerializer):
    referral_id = serializers.CharField()
    updated_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    created_at = None


class ReferralSerializer(serializers.Serializer):
    """What every answer says of a referral."""

    referral_id = serializers.CharField(source="id")
    patient_name_or_id = serializers.CharField()
    facility_name = serializers.CharField(source="facility_branch.facility.name")
    branch_name = serializers.CharField(source="facility_branch.name")
    status = serializers.ChoiceField(ReferralStatus)
    referred_at = serializers.DateTimeField()
    tests = ReferralTestSerializer(many=True)


@example(REFERRAL | {"referring_doctor": "Ama Serwaa"})
class CreatedReferralSerializer(ReferralSerializer):
    """Of what `create_referral` gives."""

    referring_doctor = serializers.CharField(source="referred_by.full_name", allow_blank=True)
    tests = ReferralTestSerializer(many=True, source="named_tests")


class NotesField(serializers.CharField):
    """Null where there are none."""

    def __init__(self, **kwargs):
        super().__init__(**{"allow_null": True, **kwargs})

    def to_representation(self, value):
        return value or None


@example(
    REFERRAL
    | {
        "referring_doctor": "Ama Serwaa",
        "clinical_notes": "Fever for three days.",
        "updated_at": "2026-03-02T08:15:00.000000Z",
        "completed_at": None,
    }
)
class ReferralDetailSerializer(ReferralSerializer):
    referring_doctor = serializers.CharField(source="referred_by.full_name", allow_blank=True)
    clinical_notes = NotesField()
    updated_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)


class ReferralRowSerializer(ReferralSerializer):
    clinical_notes = NotesField()
    test_type_name = serializers.SerializerMethodField(
        help_text="The distinct names of the tests' types, joined by a comma."
    )

    def get_test_type_name(self, referral) -> str:
        return ", ".join(dict.fromkeys(test.test.test_type.name for test in referral.tests.all()))


class TechnicianReferralRowSerializer(ReferralRowSerializer):
    referral_doctor = serializers.CharField(source="referred_by.full_name", allow_blank=True)


class TotalsSerializer(serializers.Serializer):
    total_referrals = serializers.IntegerField()
    total_completed = serializers.IntegerField()
    total_pending = serializers.IntegerField()
    total_received = serializers.IntegerField()
    total_cancelled = serializers.IntegerField()


@example(PAGE)
class PractitionerReferralsSerializer(serializers.Serializer):
    referrals = ReferralRowSerializer(many=True)
    data_summary = TotalsSerializer()
    pagination = PaginationSerializer()


@example(PAGE | {"referrals": [ROW | {"referral_doctor": "Ama Serwaa"}]})
class TechnicianReferralsSerializer(PractitionerReferralsSerializer):
    referrals = TechnicianReferralRowSerializer(many=True)
