"""The one description of a referral: what each answer shows, its schema, its example, its SQL.

Every answer begins with FIRST_FIELDS; each shows of FURTHER_FIELDS those that it names. A column
that every answer is to show is one line in FIRST_FIELDS.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias

import orjson
from rest_framework import serializers

from .choices import ReferralStatus, TestStatus


class Field(NamedTuple):
    """One value of an answer.

    `schema` is the serializer field that describes the value, with its help text. `sql` is an
    expression over the row `r` of medics_referral and the row `tests` of TESTS. `from_sql` makes
    the value of what the database returns, where the two differ.
    """

    schema: serializers.Field
    sql: str
    example: Any
    from_sql: Callable[[Any], Any] | None = None


# By the names that the answer shows, in the order of its keys.
Fields: TypeAlias = dict[str, Field]


class FieldsSerializer(serializers.Serializer):
    """Describes for the schema an answer that SQL makes. It does not serialize anything."""

    shows: Fields = {}

    def get_fields(self) -> dict[str, serializers.Field]:
        return {name: deepcopy(field.schema) for name, field in self.shows.items()}


def example_of(fields: Fields) -> dict[str, Any]:
    return {name: field.example for name, field in fields.items()}


def columns_of(fields: Fields) -> str:
    return ", ".join(f"{field.sql} AS {name}" for name, field in fields.items())


def answer_of(fields: Fields, row: Sequence[Any]) -> dict[str, Any]:
    """Return what is shown of a row of `columns_of(fields)`, ready for orjson."""
    answer = dict(zip(fields, row, strict=True))
    for name, from_sql in CONVERTED.items():
        if name in answer:
            answer[name] = from_sql(answer[name])
    return answer


def iso_time(column: str) -> str:
    """Return the SQL that writes a time as REST_FRAMEWORK["DATETIME_FORMAT"] does."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def joined_names(names: list[str] | None) -> str:
    return ", ".join(dict.fromkeys(names or ()))


# Over `within`, a row of medics_referraltest, and the rows `test` and `type` of the catalogue.
TEST_FIELDS: Fields = {
    "test_id": Field(
        serializers.IntegerField(help_text="Of the test within the referral."), "within.id", 901
    ),
    "test_name": Field(serializers.CharField(), "test.name", "FULL BLOOD COUNT"),
    "test_type_name": Field(serializers.CharField(), "type.name", "HAEMATOLOGY"),
    "status": Field(serializers.ChoiceField(TestStatus), "within.status", "Pending"),
    "created_at": Field(
        serializers.DateTimeField(), iso_time("within.created_at"), "2026-03-02T08:15:00.000000Z"
    ),
}

# One row: all tests of the referral `r` as JSON, and the names of their types.
TESTS = f"""
    SELECT json_agg(row_to_json(test))::text AS rows, array_agg(test_type_name) AS type_names
    FROM (
        SELECT {columns_of(TEST_FIELDS)}
        FROM medics_referraltest within
        JOIN medics_test test ON test.id = within.test_id
        JOIN medics_testtype type ON type.id = test.test_type_id
        WHERE within.referral_id = r.id
        ORDER BY within.id
    ) AS test
"""


class ReferralTestSerializer(FieldsSerializer):
    """A test within a referral."""

    shows = TEST_FIELDS


# Names come from subselects: PostgreSQL plans them in a third of the time of a join of as many
# tables.
FACILITY_NAME = """(
    SELECT facility.name FROM medics_facility facility
    JOIN medics_facilitybranch branch ON branch.facility_id = facility.id
    WHERE branch.id = r.facility_branch_id
)"""
BRANCH_NAME = "(SELECT name FROM medics_facilitybranch WHERE id = r.facility_branch_id)"
DOCTOR_NAME = "(SELECT full_name FROM authentication_user WHERE id = r.referred_by_id)"

FIRST_FIELDS: Fields = {
    "referral_id": Field(serializers.CharField(), "r.id", "7QK2M9XA0B"),
    "patient_name_or_id": Field(serializers.CharField(), "r.patient_name_or_id", "Akosua Mensah"),
    "facility_name": Field(serializers.CharField(), FACILITY_NAME, "Korle Laboratory"),
    "branch_name": Field(serializers.CharField(), BRANCH_NAME, "Osu"),
}

FURTHER_FIELDS: Fields = {
    "referring_doctor": Field(serializers.CharField(allow_blank=True), DOCTOR_NAME, "Ama Serwaa"),
    "referral_doctor": Field(serializers.CharField(allow_blank=True), DOCTOR_NAME, "Ama Serwaa"),
    "clinical_notes": Field(
        serializers.CharField(allow_null=True),
        "nullif(r.clinical_notes, '')",
        "Fever for three days.",
    ),
    "status": Field(serializers.ChoiceField(ReferralStatus), "r.status", "Pending"),
    "referred_at": Field(
        serializers.DateTimeField(), iso_time("r.referred_at"), "2026-03-02T08:15:00.000000Z"
    ),
    "updated_at": Field(
        serializers.DateTimeField(), iso_time("r.updated_at"), "2026-03-02T08:15:00.000000Z"
    ),
    "completed_at": Field(
        serializers.DateTimeField(allow_null=True), iso_time("r.completed_at"), None
    ),
    "tests": Field(
        ReferralTestSerializer(many=True),
        "coalesce(tests.rows, '[]')",
        [example_of(TEST_FIELDS)],
        # It stays the JSON that PostgreSQL made.
        from_sql=orjson.Fragment,
    ),
    "test_type_name": Field(
        serializers.CharField(
            read_only=True, help_text="The distinct names of the tests' types, joined by a comma."
        ),
        "tests.type_names",
        "HAEMATOLOGY",
        from_sql=joined_names,
    ),
}

CONVERTED = {
    name: field.from_sql
    for name, field in (FIRST_FIELDS | FURTHER_FIELDS).items()
    if field.from_sql is not None
}


def first_fields_and(*names: str) -> Fields:
    return FIRST_FIELDS | {name: FURTHER_FIELDS[name] for name in names}


# The answers, each in the order of its keys.
CREATED_REFERRAL = first_fields_and("status", "referred_at", "tests", "referring_doctor")
ONE_REFERRAL = first_fields_and(
    "referring_doctor",
    "clinical_notes",
    "status",
    "referred_at",
    "updated_at",
    "completed_at",
    "tests",
)
PRACTITIONERS_ROW = first_fields_and(
    "clinical_notes", "status", "referred_at", "tests", "test_type_name"
)
TECHNICIANS_ROW = first_fields_and(
    "clinical_notes", "status", "referred_at", "tests", "test_type_name", "referral_doctor"
)
