"""simplejwt's tokens, extended by the session that they belong to.

Their additional claims are `sid`, the id of the session, and `user_id`.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import jwt
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings


class SessionToken(tokens.Token):
    def __init__(self, token: Any = None, verify: bool = True) -> None:
        with unreadable_claims_refused():
            super().__init__(token, verify)

    @property
    def session_id(self) -> uuid.UUID:
        """Raises TokenError where the token names no session."""
        return session_id_in(self.payload)


def signed_claims(token: str) -> dict[str, Any]:
    """Returns the claims of a token that this service signed, of any type and age.

    Raises TokenError where the signature is not valid.
    """
    nothing_else = {f"verify_{claim}": False for claim in ("exp", "iat", "nbf", "jti", "sub")}
    try:
        with unreadable_claims_refused():
            return jwt.decode(
                token,
                api_settings.SIGNING_KEY,
                algorithms=[api_settings.ALGORITHM],
                options=nothing_else,  # type: ignore[arg-type] # a TypedDict
            )
    except jwt.InvalidTokenError:
        raise TokenError("Token is invalid") from None


def session_id_in(claims: dict[str, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(claims["sid"])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise TokenError("Token names no session") from None


@contextmanager
def unreadable_claims_refused() -> Iterator[None]:
    """Raises TokenError for JSON nested a thousand deep inside a token, and for no date at all.

    The JWT library passes the former to a parser that overflows the stack, and simplejwt makes a
    date of the latter.
    """
    try:
        yield
    except (RecursionError, OverflowError, ValueError):
        raise TokenError("Token is invalid") from None


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

    @classmethod
    def session_and_jti_of(cls, token: str) -> tuple[uuid.UUID, str]:
        """Reads a refresh token, even an expired one. Raises TokenError for any other token."""
        claims = signed_claims(token)
        if claims.get(api_settings.TOKEN_TYPE_CLAIM) != cls.token_type or "jti" not in claims:
            raise TokenError("Token has wrong type")
        return session_id_in(claims), str(claims["jti"])

    def renew(self) -> None:
        """Makes this the next refresh token of the same session."""
        self.set_jti()
        self.set_iat()
        self.set_exp()
