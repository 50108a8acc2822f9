from collections.abc import Callable
from functools import cache
from typing import Any

from django.db.models import DateTimeField, UUIDField
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, TokenError

from _tetradx.db.compiled_queries import Parameter, instances_of

from .models import Session, User, earliest_open_login
from .tokens import AccessToken


@cache
def open_session_by_id() -> Callable[[dict[str, Any]], list[Session]]:
    return instances_of(
        Session.objects.open(Parameter("earliest_login", DateTimeField()))
        .select_related("user__administered_facility")
        .filter(id=Parameter("session", UUIDField()), user__is_active=True)
    )


class SessionTokenAuthentication(JWTAuthentication):
    """Accepts a bearer token while its session is open and its user is active.

    One statement loads session, user and the facility that the user administers, so a logout, a
    changed password and a disabled account take effect immediately.
    """

    def get_raw_token(self, header: bytes) -> bytes | None:
        """Accepts the scheme Bearer in upper and lower case (RFC 9110)."""
        scheme, separator, token = header.partition(b" ")
        return super().get_raw_token(scheme.capitalize() + separator + token)

    def get_user(self, validated_token: AccessToken) -> User:  # type: ignore[override]
        try:
            session_id = validated_token.session_id
        except TokenError as error:
            raise AuthenticationFailed(str(error)) from None
        given = {"session": session_id, "earliest_login": earliest_open_login()}
        for session in open_session_by_id()(given):
            return session.user
        raise AuthenticationFailed("This session has ended.")
