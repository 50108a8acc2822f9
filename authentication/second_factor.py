"""A code of an authenticator app beside the password (TOTP, RFC 6238), for the admin site.

An operator without an app is shown a secret at the first login. The secret stays in the session
until a code proves that the app has it.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key
from rest_framework.exceptions import ValidationError

from .models import User
from .throttles import count_attempt, limits_of_second_factor, refund_attempt

log = logging.getLogger("authentication.second_factor")

# Keys of the session: the device whose code was verified, and a secret that no app has proved to
# have.
VERIFIED_DEVICE, OFFERED_KEY = "second_factor", "offered_second_factor"


def is_due(request: Any) -> bool:
    """Tells whether the session has yet to verify a code; again where its device was reset."""
    if not settings.ADMIN_SECOND_FACTOR:
        return False
    device_id = request.session.get(VERIFIED_DEVICE)
    if device_id is None:
        return True
    return not TOTPDevice.objects.filter(pk=device_id, user=request.user).exists()


def device_of(user: Any) -> TOTPDevice | None:
    return TOTPDevice.objects.filter(user=user).first()


def offered_device(request: Any) -> TOTPDevice:
    """An unsaved device for the app to set up, the same for the whole session."""
    key = request.session.setdefault(OFFERED_KEY, default_key())
    return TOTPDevice(user=request.user, key=key)


def verify_code(request: Any, *, code: str, address: str) -> bool:
    """Tells whether the code is good, and marks the session as verified where it is.

    Saves the offered device where the user has none. Raises Throttled, as a login does.
    """
    device = check_code(
        user=request.user, code=code, address=address, offered=lambda: offered_device(request)
    )
    if device is None:
        return False
    request.session.cycle_key()
    request.session[VERIFIED_DEVICE] = device.pk
    request.session.pop(OFFERED_KEY, None)
    return True


def prove_second_factor(*, user: User, code: str, address: str) -> None:
    """Checks the code of a request of the API, whose token only proves the password.

    Raises ValidationError under `otp` where a required code is missing or not valid, and Throttled,
    as a login does.
    """
    if not settings.ADMIN_SECOND_FACTOR:
        return
    code = "".join(code.split())
    if device_of(user) is None:
        error = "Set up your authenticator app in the admin site first."
    elif not code:
        error = "This field is required."
    elif check_code(user=user, code=code, address=address) is None:
        error = "This code is wrong, or was used before. Wait for the next one."
    else:
        return
    raise ValidationError({"otp": [error]})


def check_code(
    *,
    user: User,
    code: str,
    address: str,
    offered: Callable[[], TOTPDevice | None] = lambda: None,
) -> TOTPDevice | None:
    """Returns the device of the code; None where the code is not valid. A code is valid once.

    Saves the device that is offered to a user without one. Raises Throttled.
    """
    limits = limits_of_second_factor(user_id=str(user.pk), address=address)
    count_attempt(limits)
    with transaction.atomic():
        # Of two concurrent uses of one code, the second waits here, and then finds the code used.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        device = device_of(user) or offered()
        is_new = device is not None and device.pk is None
        is_good = device is not None and device.verify_token(code)
        # The library also saves a failure, and with it the offered device.
        transaction.set_rollback(not is_good)
    if not is_good:
        log.warning("A code was refused: user_id=%s", user.pk)
        return None
    refund_attempt(limits)
    if is_new:
        log.info("A second factor was set up: user_id=%s", user.pk)
    return device


def forget_device(*, user: User) -> bool:
    """Deletes the user's device, which also ends its sessions. False where there was none."""
    number, _ = TOTPDevice.objects.filter(user=user).delete()
    return number > 0
