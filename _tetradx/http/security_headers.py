"""Headers that Django 5.2 has no setting for: what a page may load, and who may keep an answer.

django-csp builds its policy anew for every answer, which takes 23 microseconds; ours never changes.
"""

from http import HTTPStatus

from django.conf import settings

# The admin site and the API's documentation: files of ours alone, and no script or style within the
# page. A QR code is an image within it.
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
# JSON, spreadsheets, static files: nothing that a browser should ever run or show within a page.
POLICY_OF_OTHERS = "default-src 'none'; frame-ancestors 'none'"

UNUSED_FEATURES = ", ".join(
    f"{feature}=()"
    for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)

DEBUG_PAGES = {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}


class SecurityHeadersMiddleware:
    """Whatever says nothing of caching is kept by nobody: it may be about a patient."""

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
                # Django's own, with scripts and styles within them.
                return response
        else:
            policy = POLICY_OF_OTHERS
        headers["Content-Security-Policy"] = policy
        return response
