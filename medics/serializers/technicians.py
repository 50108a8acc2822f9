from rest_framework import serializers

from _tetradx.api.fields import NameField, RowIdField
from _tetradx.api.schema_examples import example
from authentication.fields import NewPasswordField, PhoneNumberField
from authentication.serializers import UserSerializer

from ..models import FacilityBranch


@example(
    {
        "full_name": "Kofi Boateng",
        "phone_number": "0244000002",
        "branch_id": 3,
        "password": "Passw0rd!x",
    }
)
class AddLabTechnicianForm(serializers.Serializer):
    """Context: `facility`, whose active branches may be named. Gives the branch as `branch`."""

    full_name = NameField()
    phone_number = PhoneNumberField()
    branch_id = RowIdField(source="branch")
    password = NewPasswordField()

    def validate_branch_id(self, branch_id: int) -> FacilityBranch:
        branch = self.context["facility"].branches.active().filter(id=branch_id).first()
        if branch is None:
            raise serializers.ValidationError("Branch with the given ID does not exist.")
        return branch


@example(
    {
        "id": "0d5c3e2b-8a44-4f3b-bb0f-2f9f1a1f6f2c",
        "full_name": "Kofi Boateng",
        "phone_number": "0244000002",
        "user_type": "Lab Technician",
        "facility_name": "Korle Laboratory",
        "facility_branch_name": "Osu",
        "created_at": "2026-03-02T08:15:00Z",
    }
)
class AddedTechnicianSerializer(UserSerializer):
    """Context: `branch`, to which the technician was added."""

    facility_name = serializers.SerializerMethodField()
    facility_branch_name = serializers.SerializerMethodField()

    class Meta(UserSerializer.Meta):
        fields = [
            *UserSerializer.Meta.fields,
            "facility_name",
            "facility_branch_name",
            "created_at",
        ]

    def get_facility_name(self, user) -> str:
        return self.context["branch"].facility.name

    def get_facility_branch_name(self, user) -> str:
        return self.context["branch"].name
