"""The authenticator app of an operator."""

from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice


def code_of(device: TOTPDevice, later: int = 0) -> str:
    """Return the code that the app shows, or will show `later` codes from now."""
    return f"{totp(device.bin_key, drift=later):06}"
