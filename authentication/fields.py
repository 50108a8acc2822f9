"""Serializer fields for phone numbers and passwords, the same in every form that asks for one."""

from django.contrib.auth.password_validation import validate_password

from _tetradx.api.fields import TextField

from .phone_numbers import clean_phone_number, validate_phone_number


class PhoneNumberField(TextField):
    """Returns the cleaned number; 400 where it is not 7 to 15 digits with an optional +."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.validators.append(validate_phone_number)

    def to_internal_value(self, data):
        return clean_phone_number(super().to_internal_value(data))


class PasswordField(TextField):
    """A password as typed, spaces at its ends included."""

    def __init__(self, **kwargs):
        super().__init__(
            write_only=True,
            trim_whitespace=False,
            style={"input_type": "password"},
            **kwargs,
        )


class NewPasswordField(PasswordField):
    """A password that passes AUTH_PASSWORD_VALIDATORS."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.validators.append(validate_password)
