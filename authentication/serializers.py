from django.utils.functional import cached_property
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from _tetradx.api.fields import NameField, TextField
from _tetradx.api.schema_examples import example
from _tetradx.http.client_address import client_address
from _tetradx.values.folding import SortKey

from .fields import NewPasswordField, PasswordField, PhoneNumberField
from .models import User, UserType
from .passwords import SAME_PASSWORD, is_same_password
from .services import check_own_password


@example(
    {
        "full_name": "Ama Serwaa",
        "phone_number": "0244 123 456",
        "password": "Passw0rd!x",
        "confirm_password": "Passw0rd!x",
    }
)
class RegisterForm(serializers.Serializer):
    full_name = NameField()
    phone_number = PhoneNumberField()
    password = NewPasswordField()
    confirm_password = PasswordField(required=False)

    def validate(self, attrs):
        confirmation = attrs.pop("confirm_password", attrs["password"])
        if not is_same_password(confirmation, attrs["password"]):
            raise serializers.ValidationError({"confirm_password": "The passwords do not match."})
        return attrs


@example({"phone_number": "+233 24 412 3456", "password": "Passw0rd!x"})
class LoginForm(serializers.Serializer):
    phone_number = TextField()
    password = PasswordField()


@example({"refresh": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"})
class RefreshForm(serializers.Serializer):
    refresh = TextField()


@example({"refresh_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"})
class RefreshTokenForm(serializers.Serializer):
    refresh_token = TextField()


@example(
    {
        "current_password": "Passw0rd!x",
        "new_password": "N3w-Passw0rd",
        "confirm_new_password": "N3w-Passw0rd",
    }
)
class ChangePasswordForm(serializers.Serializer):
    current_password = PasswordField()
    new_password = NewPasswordField()
    confirm_new_password = PasswordField()

    def validate_current_password(self, password):
        request = self.context["request"]
        address = client_address(request.META)
        if not check_own_password(user=request.user, password=password, address=address):
            raise serializers.ValidationError("The current password is wrong.")
        return password

    def validate(self, attrs):
        if not is_same_password(attrs["confirm_new_password"], attrs["new_password"]):
            raise serializers.ValidationError(
                {"confirm_new_password": "The passwords do not match."}
            )
        if is_same_password(attrs["new_password"], attrs["current_password"]):
            raise serializers.ValidationError({"new_password": SAME_PASSWORD})
        return attrs


@example(
    {
        "id": "5b0f3d5e-6c5a-4a0e-9d53-1f8a9a2a7f10",
        "full_name": "Ama Serwaa",
        "phone_number": "0244123456",
        "user_type": "Medical Practitioner",
    }
)
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
    user_type = serializers.SerializerMethodField()

    class Meta(UserSerializer.Meta):
        fields = [*UserSerializer.Meta.fields, "date_joined"]

    @extend_schema_field(
        {"type": "string", "enum": [UserType.MEDICAL_PRACTITIONER, UserType.PATIENT]}
    )
    def get_user_type(self, user):
        return user.user_type


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
                SortKey("branch__name"), "branch"
            )
        )

    def get_is_admin(self, user) -> bool:
        return self.administered_facility is not None

    @extend_schema_field({"type": "string", "enum": [UserType.LAB_TECHNICIAN]})
    def get_user_type(self, user):
        return user.user_type

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


@example(
    {
        "refresh_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
        "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    }
)
class TokensSerializer(serializers.Serializer):
    refresh_token = serializers.CharField()
    access_token = serializers.CharField()


@example(
    {
        "refresh_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
        "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
        "user_data": {
            "id": "0d5c3e2b-8a44-4f3b-bb0f-2f9f1a1f6f2c",
            "full_name": "Kofi Boateng",
            "phone_number": "0244000002",
            "user_type": "Lab Technician",
            "date_joined": "2026-03-02T08:15:00Z",
            "is_new_user": False,
            "is_admin": False,
            "facility": {"id": 1, "name": "Korle Laboratory"},
            "branches": [{"id": "3", "name": "Osu"}],
        },
    }
)
class LoginSerializer(TokensSerializer):
    user_data = serializers.SerializerMethodField()

    @extend_schema_field(
        PolymorphicProxySerializer(
            component_name="LoggedIn",
            serializers=[LoggedInTechnicianSerializer, LoggedInUserSerializer],
            resource_type_field_name=None,
        )
    )
    def get_user_data(self, login):
        user = login["user"]
        is_technician = user.user_type == UserType.LAB_TECHNICIAN
        serializer = LoggedInTechnicianSerializer if is_technician else LoggedInUserSerializer
        return serializer(user).data


@example(
    {
        "access": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
        "refresh": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    }
)
class RefreshedTokensSerializer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField()
