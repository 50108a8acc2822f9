from rest_framework import serializers

from _tetradx.api.fields import NameField
from _tetradx.api.schema_examples import example


@example({"id": 3, "name": "Osu"})
class NamedRowSerializer(serializers.Serializer):
    """A row of a public list."""

    id = serializers.IntegerField()
    name = serializers.CharField()


@example({"name": "Osu"})
class AddBranchForm(serializers.Serializer):
    name = NameField()


@example(
    {
        "id": "3",
        "name": "Osu",
        "facility_name": "Korle Laboratory",
        "facility_branch_id": 3,
        "facility_branch_name": "Osu",
        "created_at": "2026-03-02T08:15:00Z",
    }
)
class AddedBranchSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    facility_name = serializers.CharField(source="facility.name")
    facility_branch_id = serializers.IntegerField(source="id")
    facility_branch_name = serializers.CharField(source="name")
    created_at = serializers.DateTimeField()
