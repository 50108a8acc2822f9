from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from _tetradx.api.renderers import PlainRenderer
from _tetradx.api.schema import leads_to, refuses
from _tetradx.http.client_address import client_address

from .serializers import (
    ChangePasswordForm,
    LoginForm,
    LoginSerializer,
    RefreshedTokensSerializer,
    RefreshForm,
    RefreshTokenForm,
    RegisterForm,
    TokensSerializer,
    UserSerializer,
)
from .services import (
    change_own_password,
    check_session,
    end_session,
    log_in,
    register,
    rotate_session,
)

TOO_MANY_ATTEMPTS = "Request was throttled. Expected available in 8 seconds."


class PublicView(APIView):
    """Never looks at the Authorization header: the public client sends even a dead token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class RegisterView(PublicView):
    """Makes a medical practitioner, whatever else the body says."""

    success_message = "User registered successfully"

    @extend_schema(request=RegisterForm, responses={201: UserSerializer})
    @leads_to("auth_login_create", body={"phone_number": "data/phone_number"})
    @refuses(
        {"phone_number": ["A user with this phone number already exists."]},
        {"password": ["This password is too common."]},
        {"confirm_password": ["The passwords do not match."]},
    )
    @refuses("Registration is closed. Ask your administrator for an account.", code=403)
    @refuses(TOO_MANY_ATTEMPTS, code=429)
    def post(self, request):
        form = RegisterForm(data=request.data)
        form.is_valid(raise_exception=True)
        user = register(address=client_address(request.META), **form.validated_data)
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)


class LoginView(PublicView):
    """Opens a session. Technicians also learn where they work.

    Any spelling of the phone number will do. An access token lives 15 minutes, a refresh token 12
    hours.
    """

    success_message = "Login successful"

    @extend_schema(request=LoginForm, responses=LoginSerializer)
    @leads_to("auth_token_refresh_create", body={"refresh": "data/refresh_token"})
    @leads_to("refresh_create", body={"refresh_token": "data/refresh_token"})
    @leads_to("auth_logout_create", body={"refresh_token": "data/refresh_token"})
    @refuses({"phone_number_and_password": ["Invalid phone number or password."]})
    @refuses(TOO_MANY_ATTEMPTS, code=429)
    def post(self, request):
        form = LoginForm(data=request.data)
        form.is_valid(raise_exception=True)
        login = log_in(address=client_address(request.META), **form.validated_data)
        if login is None:
            raise ValidationError(
                {"phone_number_and_password": ["Invalid phone number or password."]}
            )
        user, refresh = login
        answer = {
            "refresh_token": str(refresh),
            "access_token": str(refresh.access_token),
            "user": user,
        }
        return Response(LoginSerializer(answer).data)


class TokenRefreshView(PublicView):
    """Trades a refresh token for new tokens. Its second use ends the session."""

    renderer_classes = (PlainRenderer,)

    @extend_schema(request=RefreshForm, responses=RefreshedTokensSerializer)
    @leads_to("auth_token_refresh_create", body={"refresh": "refresh"})
    @leads_to("auth_logout_create", body={"refresh_token": "refresh"})
    @refuses("Token is dead", code=status.HTTP_401_UNAUTHORIZED)
    def post(self, request):
        form = RefreshForm(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            refresh = rotate_session(**form.validated_data)
        except TokenError as error:
            raise InvalidToken(str(error)) from None
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})

    def get_authenticate_header(self, request):
        # Without it DRF turns a 401 into a 403.
        return "Bearer"


class ClientRefreshView(PublicView):
    """A new access token beside the same refresh token, which stays good.

    A dead token is 400: the public client answers a 401 here by calling again, for ever.
    """

    renderer_classes = (PlainRenderer,)

    @extend_schema(request=RefreshTokenForm, responses=TokensSerializer)
    @leads_to("refresh_create", body={"refresh_token": "refresh_token"})
    @leads_to("auth_logout_create", body={"refresh_token": "refresh_token"})
    @refuses({"refresh_token": ["Token is dead"]})
    def post(self, request):
        form = RefreshTokenForm(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            refresh = check_session(refresh=form.validated_data["refresh_token"])
        except TokenError as error:
            raise ValidationError({"refresh_token": [str(error)]}) from None
        return Response({"access_token": str(refresh.access_token), "refresh_token": str(refresh)})


class LogoutView(PublicView):
    """Ends the session: its refresh and access tokens are dead from then on."""

    success_message = "Logged out successfully"

    @extend_schema(request=RefreshTokenForm, responses=OpenApiResponse())
    def post(self, request):
        form = RefreshTokenForm(data=request.data)
        form.is_valid(raise_exception=True)
        end_session(refresh=form.validated_data["refresh_token"])
        return Response()


class ChangePasswordView(APIView):
    """Ends every other session. The one route for users who are due to change their password."""

    permission_classes = (IsAuthenticated,)
    success_message = "Password changed successfully."

    @extend_schema(request=ChangePasswordForm, responses=OpenApiResponse())
    @refuses(
        {"current_password": ["The current password is wrong."]},
        {"new_password": ["The new password must differ from the current one."]},
        {"confirm_new_password": ["The passwords do not match."]},
    )
    @refuses(TOO_MANY_ATTEMPTS, code=429)
    def post(self, request):
        form = ChangePasswordForm(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        change_own_password(
            user=request.user,
            new_password=form.validated_data["new_password"],
            session_id=request.auth.session_id,
        )
        return Response()
