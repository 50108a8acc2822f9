"""simplejwt's tokens, which here name the session that they belong to.

Claims beside simplejwt's own: `sid`, the id of the session.
"""

import uuid
from typing import Any

from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.exceptions import TokenError


class SessionTokenMixin:
    session_claim = "sid"

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
            return uuid.UUID(self[self.session_claim])  # type: ignore[index]
        except (KeyError, ValueError, TypeError, AttributeError):
            raise TokenError("Token names no session") from None


class AccessToken(SessionTokenMixin, tokens.AccessToken):
    pass


class RefreshToken(SessionTokenMixin, tokens.RefreshToken):
    access_token_class = AccessToken

    @property
    def jti(self) -> str:
        return self["jti"]

    def renew(self) -> None:
        """Makes this the next refresh token of the same session."""
        self.set_jti()
        self.set_iat()
        self.set_exp()
