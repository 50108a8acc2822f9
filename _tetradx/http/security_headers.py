"""Headers that Django 5.2 has no setting for: what a page may load, and who may keep an answer.

django-csp builds its policy anew for every answer, which takes 23 microseconds; ours never changes.
"""

from http import HTTPStatus

from django.conf import settings

# For the admin site and the API's documentation: only files of this service, and no inline script
# or style. A QR code is an inline image.
POLICY_OF_PAGES = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("connect", "font", "script", "style")),
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
# For JSON, spreadsheets and static files: a browser should never run them or show them in a frame.
POLICY_OF_OTHERS = "default-src 'none'; frame-ancestors 'none'"

UNUSED_FEATURES = ", ".join(
    f"{feature}=()"
    for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)

DEBUG_PAGES = {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}


class SecurityHeadersMiddleware:
    """Responses without `Cache-Control` get `no-store`, because they may contain patient data."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        if headers.get("Content-Type", "").startswith("text/html"):
            headers["Permissions-Policy"] = UNUSED_FEATURES
            policy = POLICY_OF_PAGES
            if settings.DEBUG and response.status_code in DEBUG_PAGES:
                # Django's debug pages have inline scripts and styles.
                return response
        else:
            policy = POLICY_OF_OTHERS
        headers["Content-Security-Policy"] = policy
        return response
