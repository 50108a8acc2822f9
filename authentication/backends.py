from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from .models import User
from .passwords import spellings_to_check


class PhoneNumberBackend(ModelBackend):
    """Checks a phone number in any spelling and a password, in the same time for whoever it is."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_credentials: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        try:
            user = User.objects.get_by_natural_key(username)
        except User.DoesNotExist:
            for spelling in spellings_to_check(password):
                make_password(spelling)
            return None
        is_right = user.check_password(password)
        return user if is_right and user.is_active else None
