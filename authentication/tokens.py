"""simplejwt's tokens, which here name the session that they belong to.

Claims beside simplejwt's own: `sid`, the id of the session, and `user_id`.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.exceptions import TokenError


class SessionToken(tokens.Token):
    def __init__(self, token: Any = None, verify: bool = True) -> None:
        try:
            super().__init__(token, verify)
        except RecursionError:
            # JSON nested a thousand deep inside the token; the JWT library lets it through.
            raise TokenError("Token is invalid") from None

    @property
    def session_id(self) -> uuid.UUID:
        """Raises TokenError where the token names no session."""
        try:
            return uuid.UUID(self["sid"])
        except (KeyError, ValueError, TypeError, AttributeError):
            raise TokenError("Token names no session") from None


class AccessToken(SessionToken, tokens.AccessToken):
    pass


class RefreshToken(SessionToken, tokens.RefreshToken):  # type: ignore[misc] # their mixin's types
    access_token_class = AccessToken

    @property
    def jti(self) -> str:
        """Raises TokenError where the token has no id."""
        try:
            return str(self["jti"])
        except KeyError:
            raise TokenError("Token has no id") from None

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self["exp"], tz=UTC)

    def renew(self) -> None:
        """Makes this the next refresh token of the same session."""
        self.set_jti()
        self.set_iat()
        self.set_exp()
