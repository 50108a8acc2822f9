from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .fields import NewPasswordField, PasswordField, PhoneNumberField
from .models import User, UserType


class RegisterForm(serializers.Serializer):
    full_name = serializers.CharField(max_length=255)
    phone_number = PhoneNumberField()
    password = NewPasswordField()
    confirm_password = PasswordField(required=False)

    def validate(self, attrs):
        confirmation = attrs.pop("confirm_password", attrs["password"])
        if confirmation != attrs["password"]:
            raise serializers.ValidationError({"confirm_password": "The passwords do not match."})
        return attrs


class LoginForm(serializers.Serializer):
    phone_number = serializers.CharField()
    password = PasswordField()


class RefreshForm(serializers.Serializer):
    refresh = serializers.CharField()


class RefreshTokenForm(serializers.Serializer):
    refresh_token = serializers.CharField()


class ChangePasswordForm(serializers.Serializer):
    current_password = PasswordField()
    new_password = NewPasswordField()
    confirm_new_password = PasswordField()

    def validate_current_password(self, password):
        if not self.context["request"].user.check_password(password):
            raise serializers.ValidationError("The current password is wrong.")
        return password

    def validate(self, attrs):
        if attrs["confirm_new_password"] != attrs["new_password"]:
            raise serializers.ValidationError(
                {"confirm_new_password": "The passwords do not match."}
            )
        return attrs


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "full_name", "phone_number", "user_type"]


class BranchOfUserSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()


class FacilityOfUserSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class LoggedInUserSerializer(UserSerializer):
    class Meta(UserSerializer.Meta):
        fields = [*UserSerializer.Meta.fields, "date_joined"]


class LoggedInTechnicianSerializer(LoggedInUserSerializer):
    """Where a technician works: the facility administered, else that of the branches."""

    is_new_user = serializers.BooleanField(source="must_change_password")
    is_admin = serializers.SerializerMethodField()
    facility = serializers.SerializerMethodField()
    branches = serializers.SerializerMethodField()

    class Meta(LoggedInUserSerializer.Meta):
        fields = [
            *LoggedInUserSerializer.Meta.fields,
            "is_new_user",
            "is_admin",
            "facility",
            "branches",
        ]

    @cached_property
    def administered_facility(self):
        return getattr(self.instance, "administered_facility", None)

    @cached_property
    def assignments(self):
        return list(
            self.instance.branch_assignments.select_related("branch__facility").order_by(
                "branch__name"
            )
        )

    def get_is_admin(self, user) -> bool:
        return self.administered_facility is not None

    @extend_schema_field(FacilityOfUserSerializer(allow_null=True))
    def get_facility(self, user):
        facility = self.administered_facility
        if facility is None and self.assignments:
            facility = self.assignments[0].branch.facility
        return facility and FacilityOfUserSerializer(facility).data

    @extend_schema_field(BranchOfUserSerializer(many=True))
    def get_branches(self, user):
        branches = [assignment.branch for assignment in self.assignments]
        return BranchOfUserSerializer(branches, many=True).data


class TokensSerializer(serializers.Serializer):
    refresh_token = serializers.CharField()
    access_token = serializers.CharField()


class LoginSerializer(TokensSerializer):
    user_data = serializers.SerializerMethodField()

    @extend_schema_field(LoggedInTechnicianSerializer)
    def get_user_data(self, login):
        user = login["user"]
        is_technician = user.user_type == UserType.LAB_TECHNICIAN
        serializer = LoggedInTechnicianSerializer if is_technician else LoggedInUserSerializer
        return serializer(user).data


class RefreshedTokensSerializer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField()
