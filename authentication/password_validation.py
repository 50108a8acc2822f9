"""The rules of a new password, applied to the spelling that is compared."""

from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from .passwords import as_compared


class ComparedSpellingMixin:
    def validate(self, password: str, user: Any = None) -> None:
        super().validate(as_compared(password), user)  # type: ignore[misc]


class MinimumLengthValidator(ComparedSpellingMixin, password_validation.MinimumLengthValidator):
    pass


class CommonPasswordValidator(ComparedSpellingMixin, password_validation.CommonPasswordValidator):
    pass


class CharacterKindsValidator:
    """Requires an upper-case and a lower-case letter, a digit and a special character."""

    kinds = {
        "an upper-case letter": str.isupper,
        "a lower-case letter": str.islower,
        "a digit": str.isdigit,
        "a special character": lambda c: not c.isalnum() and not c.isspace(),
    }

    def validate(self, password: str, user: object = None) -> None:
        characters = as_compared(password)
        missing = [
            name for name, is_kind in self.kinds.items() if not any(map(is_kind, characters))
        ]
        if missing:
            raise ValidationError(f"This password must contain {', '.join(missing)}.")

    def get_help_text(self) -> str:
        return f"Your password must contain {', '.join(self.kinds)}."
