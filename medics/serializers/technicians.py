from rest_framework import serializers

from _tetradx.fields import RowIdField
from authentication.fields import NewPasswordField, PhoneNumberField
from authentication.serializers import UserSerializer

from ..models import FacilityBranch


class AddLabTechnicianForm(serializers.Serializer):
    """Context: `facility`, whose active branches may be named. Gives the branch as `branch`."""

    full_name = serializers.CharField(max_length=255)
    phone_number = PhoneNumberField()
    branch_id = RowIdField(source="branch")
    password = NewPasswordField()

    def validate_branch_id(self, branch_id: int) -> FacilityBranch:
        branch = self.context["facility"].branches.active().filter(id=branch_id).first()
        if branch is None:
            raise serializers.ValidationError("Branch with the given ID does not exist.")
        return branch


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
