"""A code of an authenticator app beside the password (TOTP, RFC 6238), for the admin site.

An operator without an app is shown a secret at the first login. It waits in the session until the
app has proved by a code that it has it.
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
    """Not saved: one for the app to take on, the same for as long as the session."""
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
    """For a request of the API, whose token the password alone has opened.

    Raises ValidationError under `otp` where a code is due and missing or not good, and Throttled,
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
    """The device whose code it is, None where it is not good; a code is good once.

    Saves the device that is offered to a user who has none. Raises Throttled.
    """
    limits = limits_of_second_factor(user_id=str(user.pk), address=address)
    count_attempt(limits)
    with transaction.atomic():
        # Of two uses of one code at once the second waits here, and finds it used.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        device = device_of(user) or offered()
        is_new = device is not None and device.pk is None
        is_good = device is not None and device.verify_token(code)
        # The library saves a failure, too, and with it a device that nobody has.
        transaction.set_rollback(not is_good)
    if not is_good:
        log.warning("A code was refused: user_id=%s", user.pk)
        return None
    refund_attempt(limits)
    if is_new:
        log.info("A second factor was set up: user_id=%s", user.pk)
    return device


def forget_device(*, user: User) -> bool:
    """Ends what its codes opened, at once. False where there was none."""
    number, _ = TOTPDevice.objects.filter(user=user).delete()
    return number > 0
