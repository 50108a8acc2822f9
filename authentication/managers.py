from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps
from django.contrib.auth.base_user import BaseUserManager
from django.db.models import (
    Case,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.utils import timezone

from _tetradx.db.compiled_queries import rows_of
from _tetradx.db.fields import DerivesColumnsQuerySet

from .phone_numbers import phone_key

if TYPE_CHECKING:
    from .models import User

# An older hash is one of PBKDF2; the costliest has the most iterations.
HAS_OLDER_HASH = Q(password__regex=r"^pbkdf2_sha256\$[0-9]{1,9}\$")  # noqa: S106 (a pattern)
ITERATIONS = Cast(
    Func(F("password"), Value("$"), Value(2), function="split_part", output_field=TextField()),
    IntegerField(),
)

MOST_KNOWN_ADDRESSES = 10

# Only the addresses of a user that were seen last are kept.
NOTE_LOGIN = """
WITH login AS (
    UPDATE authentication_user SET last_login = %(now)s
    WHERE id = %(user)s AND password = %(password)s AND is_active
    RETURNING id
), seen AS (
    INSERT INTO authentication_knownaddress (user_id, address_key, seen_at)
    SELECT id, %(address_key)s, %(now)s FROM login
    ON CONFLICT (user_id, address_key) DO UPDATE SET seen_at = EXCLUDED.seen_at
), forgotten AS (
    DELETE FROM authentication_knownaddress WHERE id IN (
        SELECT id FROM authentication_knownaddress
        WHERE user_id IN (SELECT id FROM login) AND address_key <> %(address_key)s
        ORDER BY seen_at DESC OFFSET %(others)s
    )
)
SELECT count(*) FROM login
"""


class AskedForLogin(NamedTuple):
    """The user who has the number, if any, and what else a login needs beforehand."""

    user: "User | None"
    is_at_known_address: bool
    costliest_older_hash: str | None


class UserManager(BaseUserManager.from_queryset(DerivesColumnsQuerySet["User"])):  # type: ignore[misc]
    def create_user(
        self,
        phone_number: str,
        password: str | None = None,
        *,
        username: str | None = None,
        **fields: Any,
    ) -> "User":
        """Creates a user. `username` is ignored: scripts pass it, but the login is the number."""
        user = self.model(phone_number=phone_number, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, phone_number: str, password: str | None = None, **fields: Any
    ) -> "User":
        return self.create_user(
            phone_number, password, **{**fields, "is_staff": True, "is_superuser": True}
        )

    def get_by_natural_key(self, username: str | None) -> "User":
        """Finds the user by any spelling of the phone number."""
        return self.get(phone_key=phone_key(username or ""))

    def find_for_login(self, *, phone_number: str, address_key: str) -> AskedForLogin:
        """Finds what a login needs, in one statement, whether or not a user has the number.

        The user comes with the facility that he administers, which the login's answer names. The
        statement also fetches the user with the costliest older hash.
        """
        number = phone_key(phone_number)
        known = apps.get_model("authentication", "KnownAddress").objects.filter(
            user=OuterRef("pk"), address_key=address_key
        )
        costliest = self.filter(HAS_OLDER_HASH).order_by(ITERATIONS.desc())
        found = (
            self.select_related("administered_facility")
            .annotate(
                is_at_known_address=Exists(known),
                iterations=Case(When(HAS_OLDER_HASH, then=ITERATIONS)),
            )
            .filter(Q(phone_key=number) | Q(pk=Subquery(costliest.values("pk")[:1])))
        )
        users = list(found)
        user = next((user for user in users if user.phone_key == number), None)
        older = [user for user in users if user.iterations is not None]
        costliest_one = max(older, key=lambda user: user.iterations, default=None)
        return AskedForLogin(
            user=user,
            is_at_known_address=user is not None and user.is_at_known_address,
            costliest_older_hash=costliest_one and costliest_one.password,
        )

    def note_login(self, user: "User", *, address_key: str) -> bool:
        """Stores the time of the login and its address.

        False where the user was changed or disabled since `user` was read.
        """
        [(number,)] = rows_of(
            NOTE_LOGIN,
            {
                "user": user.pk,
                "password": user.password,
                "address_key": address_key,
                "now": timezone.now(),
                "others": MOST_KNOWN_ADDRESSES - 1,
            },
        )
        return number == 1
