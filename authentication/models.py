import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.utils import timezone

from _tetradx.db.expiry import ExpiringQuerySet
from _tetradx.db.fields import DerivedCharField, DerivesColumns
from _tetradx.values.folding import Fold
from _tetradx.values.names import NameField

from .managers import HAS_OLDER_HASH, ITERATIONS, UserManager
from .passwords import as_compared, spellings_to_check
from .phone_numbers import clean_phone_number, phone_key, validate_phone_number


class UserType(models.TextChoices):
    MEDICAL_PRACTITIONER = "Medical Practitioner"
    LAB_TECHNICIAN = "Lab Technician"
    PATIENT = "Patient"


class PhoneNumberField(models.CharField):
    """Stores the number as its user wrote it, cleaned."""

    default_validators = [validate_phone_number]

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return clean_phone_number(value) if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        number = self.to_python(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, number)
        return number


class User(DerivesColumns, AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    full_name = NameField(max_length=255, blank=True)
    phone_number = PhoneNumberField(max_length=16)
    # The same for every spelling of the number.
    phone_key = DerivedCharField(max_length=16, source="phone_number", derive=phone_key)
    user_type = models.CharField(
        max_length=30, choices=UserType, default=UserType.MEDICAL_PRACTITIONER
    )
    must_change_password = models.BooleanField(
        default=False,
        help_text="Until the password is changed, everything but changing it is refused.",
    )
    is_staff = models.BooleanField("operator", default=False, help_text="May use the admin site.")
    is_active = models.BooleanField(
        "active", default=True, help_text="Switch people off instead of deleting them."
    )
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = UserManager()

    USERNAME_FIELD = "phone_number"
    REQUIRED_FIELDS = ["full_name"]

    class Meta:
        indexes = [
            models.Index(ITERATIONS, name="older_hashes", condition=HAS_OLDER_HASH),
            GinIndex(OpClass(Fold("full_name"), name="gin_trgm_ops"), name="user_name_trigrams"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["phone_number"],
                name="unique_phone_number",
                violation_error_message="A user with this phone number already exists.",
            ),
            models.UniqueConstraint(
                fields=["phone_key"],
                name="unique_phone_key",
                violation_error_message="A user with this phone number already exists.",
            ),
            models.CheckConstraint(
                condition=models.Q(user_type__in=UserType.values), name="user_type_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.full_name} ({self.phone_number})"

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(None if raw_password is None else as_compared(raw_password))

    def check_password(self, raw_password: str) -> bool:
        """Checks the password, and renews an old hash of it, unless it was changed meanwhile."""
        compared = as_compared(raw_password)
        for spelling in spellings_to_check(raw_password):
            is_right, is_old = verify_password(spelling, self.password)
            if is_right:
                if is_old or spelling != compared:
                    self.renew_hash(compared)
                return True
        return False

    def renew_hash(self, password: str) -> None:
        same = User.objects.filter(pk=self.pk, password=self.password)
        renewed = make_password(password)
        if same.update(password=renewed):
            self.password = renewed

    def get_short_name(self) -> str:
        return self.full_name


def earliest_open_login() -> datetime:
    """The time of login before which every session has reached the end of its lifetime."""
    return timezone.now() - settings.SESSION_LIFETIME


class SessionQuerySet(ExpiringQuerySet["Session"]):
    def open(self, earliest_login: Any = None) -> "SessionQuerySet":
        return self.filter(ended_at=None, created_at__gt=earliest_login or earliest_open_login())

    def end(self) -> int:
        return self.filter(ended_at=None).update(ended_at=timezone.now())

    def expired(self) -> "SessionQuerySet":
        """Sessions of which no token is valid any more."""
        has_expired = models.Q(expires_at__lt=timezone.now())
        return self.filter(has_expired | models.Q(created_at__lte=earliest_open_login()))


class Session(models.Model):
    """One login. Its tokens name the session, so that ending it revokes them all at once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    refresh_jti = models.CharField(
        max_length=32, help_text="The id of the one refresh token that is still good."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = SessionQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_open(self) -> bool:
        return (
            self.ended_at is None
            and self.expires_at > timezone.now()
            and self.created_at > earliest_open_login()
        )


class Attempt(models.Model):
    """How many attempts count under one key. `authentication.throttles` counts them, in SQL."""

    name = models.CharField(max_length=64, primary_key=True)
    number = models.IntegerField()
    expires_at = models.DateTimeField(db_index=True)
    next_at = models.DateTimeField()

    objects = ExpiringQuerySet["Attempt"].as_manager()

    class Meta:
        # The version before counts in this table too.
        db_table = "authentication_try"

    def __str__(self) -> str:
        return self.name


KNOWN_ADDRESS_LIFETIME = timedelta(days=90)


class KnownAddressQuerySet(ExpiringQuerySet["KnownAddress"]):
    def expired(self) -> "KnownAddressQuerySet":
        """Addresses from which the user has not logged in for KNOWN_ADDRESS_LIFETIME."""
        return self.filter(seen_at__lt=timezone.now() - KNOWN_ADDRESS_LIFETIME)


class KnownAddress(models.Model):
    """An address from which a user logged in before: guesses from elsewhere do not lock it out.

    `authentication.throttles` makes the key, which does not reveal the address.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_addresses")
    address_key = models.CharField(max_length=64)
    seen_at = models.DateTimeField()

    objects = KnownAddressQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = [
            models.UniqueConstraint(fields=["user", "address_key"], name="unique_known_address")
        ]

    def __str__(self) -> str:
        return self.address_key
