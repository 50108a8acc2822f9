from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import BaseUserManager

from _tetradx.derived import DerivesColumnsQuerySet

from .phone_numbers import phone_key

if TYPE_CHECKING:
    from .models import User


class UserManager(BaseUserManager.from_queryset(DerivesColumnsQuerySet["User"])):  # type: ignore[misc]
    def create_user(
        self,
        phone_number: str,
        password: str | None = None,
        *,
        username: str | None = None,
        **fields: Any,
    ) -> "User":
        """`username` is accepted and dropped: scripts pass it, but the login is the number."""
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
        """Finds the user by any spelling of the phone number; Django's login calls this.

        With the facility that he administers, which the login's answer names.
        """
        return self.select_related("administered_facility").get(phone_key=phone_key(username or ""))
