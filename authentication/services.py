from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import Exists, OuterRef
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, ValidationError
from rest_framework_simplejwt.exceptions import TokenError

from _tetradx.api.exceptions import refuse_duplicate

from .models import Session, User
from .throttles import (
    count_attempt,
    known_address_key,
    limits_of_login,
    limits_of_registration,
    refund_attempt,
)
from .tokens import RefreshToken, session_id_in, signed_claims


def register(*, address: str, **fields: Any) -> User:
    """Creates the account of somebody who registers.

    Raises PermissionDenied where the operator has closed registration, Throttled where too many
    registrations came from the address, and what create_account raises.
    """
    if not settings.SELF_REGISTRATION:
        raise PermissionDenied("Registration is closed. Ask your administrator for an account.")
    count_attempt(limits_of_registration(address=address))
    return create_account(**fields)


def create_account(**fields: Any) -> User:
    """Creates a user.

    Raises ValidationError under `phone_number` where another user has the number.
    """
    with refuse_duplicate(
        constraints={"unique_phone_number", "unique_phone_key"},
        field="phone_number",
        message="A user with this phone number already exists.",
    ):
        return User.objects.create_user(**fields)


def log_in(*, phone_number: str, password: str, address: str) -> tuple[User, RefreshToken] | None:
    """Opens a session; None where the number, the password or the account is not valid.

    Raises Throttled where too many attempts came before, at the number or from the address.
    """
    checked = authenticate(username=phone_number, password=password, address=address)
    if checked is None:
        return None
    return open_checked_session(checked, password=password, address=address)


@transaction.atomic
def open_checked_session(
    checked: User, *, password: str, address: str
) -> tuple[User, RefreshToken] | None:
    """Opens a session; None where the user was changed or disabled since the password was checked.

    Such a change ends all sessions. It must not miss this one, which therefore waits for the lock
    on the user's row.
    """
    if note_login(user=checked, address=address):
        return checked, open_session(user=checked)
    # Another login may just have renewed an old hash of the same password.
    user = User.objects.select_for_update().filter(pk=checked.pk).first()
    if user is None or not (user.is_active and user.check_password(password)):
        return None
    note_login(user=user, address=address)
    return user, open_session(user=user)


def note_login(*, user: User, address: str) -> bool:
    """Stores the login; False where the user was changed or disabled since `user` was read."""
    address_key = known_address_key(phone_number=user.phone_number, address=address)
    return User.objects.note_login(user, address_key=address_key)


def open_session(*, user: User) -> RefreshToken:
    token = RefreshToken()
    session = Session.objects.create(user=user, refresh_jti=token.jti, expires_at=token.expires_at)
    token["sid"] = str(session.id)
    token["user_id"] = str(user.pk)
    return token


def rotate_session(*, refresh: str) -> RefreshToken:
    """Exchanges a refresh token for the session's next one.

    Raises TokenError where the token is dead. The UPDATE names the token that it replaces, so of
    two concurrent exchanges only one succeeds.
    """
    with traded_token_ends_its_session(refresh):
        return trade(RefreshToken(refresh))


def trade(token: RefreshToken) -> RefreshToken:
    # A subquery on the user, not a join: PostgreSQL must check the session's row itself again
    # after waiting for another trade of the same token.
    active_user = User.objects.filter(pk=OuterRef("user"), is_active=True)
    session = Session.objects.open().filter(Exists(active_user), id=token.session_id)
    traded_jti = token.jti
    token.renew()
    traded = session.filter(refresh_jti=traded_jti).update(
        refresh_jti=token.jti, expires_at=token.expires_at
    )
    if not traded:
        raise TokenError("Token is dead")
    return token


def check_session(*, refresh: str) -> RefreshToken:
    """Returns the refresh token, which stays valid. Raises TokenError where it is dead."""
    with traded_token_ends_its_session(refresh):
        token = RefreshToken(refresh)
        alive = Session.objects.open().filter(
            id=token.session_id, refresh_jti=token.jti, user__is_active=True
        )
        if not alive.exists():
            raise TokenError("Token is dead")
        return token


@contextmanager
def traded_token_ends_its_session(refresh: str) -> Iterator[None]:
    """Ends the session of a refresh token that was exchanged before, and raises the TokenError on.

    Two clients have such a token, and one of them stole it. So its second use ends the session,
    even once the token has expired. The database compares it with the session's current token.
    """
    try:
        yield
    except TokenError:
        with suppress(TokenError):
            session_id, jti = RefreshToken.session_and_jti_of(refresh)
            Session.objects.filter(id=session_id).exclude(refresh_jti=jti).end()
        raise


def end_session(*, refresh: str) -> None:
    """Logs out, by any token that this service signed. Another token is ignored."""
    try:
        session_id = session_id_in(signed_claims(refresh))
    except TokenError:
        return
    Session.objects.filter(id=session_id).end()


def check_own_password(*, user: User, password: str, address: str) -> bool:
    """Tells whether this is the user's password.

    Attempts are counted with those at a login: whoever holds somebody's phone gets no more of them
    here, and guesses from elsewhere do not keep the owner from a new password at an address where
    the owner logged in before. Raises Throttled where too many came before.
    """
    address_key = known_address_key(phone_number=user.phone_number, address=address)
    limits = limits_of_login(
        phone_number=user.phone_number,
        address=address,
        is_known=user.known_addresses.filter(address_key=address_key).exists(),
    )
    count_attempt(limits)
    is_right = user.check_password(password)
    if is_right:
        refund_attempt(limits)
    return is_right


@transaction.atomic
def change_own_password(*, user: User, new_password: str, session_id: UUID) -> None:
    """Changes the password and ends every other session.

    Raises ValidationError under `current_password` where the password was changed since it was
    checked, and AuthenticationFailed where the session has ended since.
    """
    current = User.objects.select_for_update().filter(pk=user.pk).first()
    if current is None or not user.sessions.open().filter(id=session_id).exists():
        raise AuthenticationFailed("This session has ended.")
    if current.password != user.password:
        raise ValidationError({"current_password": ["The current password is wrong."]})
    change_password(user=current, new_password=new_password, keep_session=session_id)


@transaction.atomic
def change_password(
    *,
    user: User,
    new_password: str,
    keep_session: UUID | None = None,
    must_change_password: bool = False,
) -> None:
    """Changes the password and ends every session of the user but `keep_session`.

    `must_change_password` is for a password that somebody else gives the user.
    """
    user.set_password(new_password)
    user.must_change_password = must_change_password
    user.save(update_fields=["password", "must_change_password", "updated_at"])
    ending = user.sessions.all() if keep_session is None else user.sessions.exclude(id=keep_session)
    ending.end()


@transaction.atomic
def withdraw_password(*, user: User) -> None:
    """Ends every session of the user and makes the password unusable.

    For an account that gets more rights: whoever has used it until now, by a password or a token,
    need not be the person whom the operator means. An operator then gives a new password.
    """
    user.set_unusable_password()
    user.must_change_password = True
    user.save(update_fields=["password", "must_change_password", "updated_at"])
    user.sessions.all().end()
