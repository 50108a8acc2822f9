from django.core.exceptions import ValidationError


class CharacterKindsValidator:
    """An upper-case and a lower-case letter, a digit and a special character."""

    kinds = {
        "an upper-case letter": str.isupper,
        "a lower-case letter": str.islower,
        "a digit": str.isdigit,
        "a special character": lambda c: not c.isalnum() and not c.isspace(),
    }

    def validate(self, password: str, user: object = None) -> None:
        missing = [name for name, is_kind in self.kinds.items() if not any(map(is_kind, password))]
        if missing:
            raise ValidationError(f"This password must contain {', '.join(missing)}.")

    def get_help_text(self) -> str:
        return f"Your password must contain {', '.join(self.kinds)}."
