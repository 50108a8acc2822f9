from django.core.exceptions import SuspiciousOperation
from rest_framework.exceptions import APIException, NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation


class ContentNegotiation(DefaultContentNegotiation):
    """Refuses a malformed Accept, for which Python's email package raises any exception.

    An empty Accept means any type, as a missing one does (RFC 9110, 5.6.1 and 12.5.1).
    """

    def get_accept_list(self, request):
        if not request.headers.get("Accept", "").strip(" \t,"):
            return ["*/*"]
        return super().get_accept_list(request)

    def select_renderer(self, request, renderers, format_suffix=None):
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except (APIException, SuspiciousOperation):
            raise
        except Exception:
            raise NotAcceptable from None
