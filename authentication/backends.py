from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from _tetradx.http.client_address import client_address

from .hashers import spend_the_rest
from .models import User
from .passwords import spellings_to_check
from .throttles import count_attempt, known_address_key, limits_of_login, refund_attempt


class PhoneNumberBackend(ModelBackend):
    """Checks a phone number in any spelling and a password, for the API and the admin site.

    Each attempt is counted before the password is checked. Raises Throttled where too many were
    made, at the number or from the address. A refusal costs the same hashes whether or not a user
    has the number.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        address: str | None = None,
        **_credentials: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        if address is None:
            address = client_address(request.META) if request else ""
        found = User.objects.find_for_login(
            phone_number=username,
            address_key=known_address_key(phone_number=username, address=address),
        )
        limits = limits_of_login(
            phone_number=username, address=address, is_known=found.is_at_known_address
        )
        count_attempt(limits)
        user = found.user
        if user is not None and user.check_password(password) and user.is_active:
            refund_attempt(limits)
            return user
        for spelling in spellings_to_check(password):
            if user is None:
                make_password(spelling)
            spend_the_rest(
                spelling,
                encoded=user.password if user else None,
                costliest_older=found.costliest_older_hash,
            )
        return None
