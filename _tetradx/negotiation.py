from django.core.exceptions import SuspiciousOperation
from rest_framework.exceptions import APIException, NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation


class ContentNegotiation(DefaultContentNegotiation):
    """Refuses an Accept that cannot be read, where Python's email package raises anything."""

    def select_renderer(self, request, renderers, format_suffix=None):
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except (APIException, SuspiciousOperation):
            raise
        except Exception:
            raise NotAcceptable from None
