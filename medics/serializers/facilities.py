from rest_framework import serializers


class NamedRowSerializer(serializers.Serializer):
    """A row of a public list."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class AddBranchForm(serializers.Serializer):
    name = serializers.CharField(max_length=255)


class AddedBranchSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    facility_name = serializers.CharField(source="facility.name")
    facility_branch_id = serializers.IntegerField(source="id")
    facility_branch_name = serializers.CharField(source="name")
    created_at = serializers.DateTimeField()
