from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from ..read_audit import log_reading_of


class PatientDataMixin:
    """Writes down whose data each page of a model admin shows, and to whom."""

    def rows_shown(self, request: HttpRequest, rows: list[Model]) -> None:
        log_reading_of(request, rows)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        pages: Any = super()
        response = pages.changelist_view(request, *args, **kwargs)
        if changelist := (getattr(response, "context_data", None) or {}).get("cl"):
            # Evaluated here once for the page, too, which is not rendered yet.
            self.rows_shown(request, list(changelist.result_list))
        return response

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        self.rows_shown(request, [obj] if obj else [])
        pages: Any = super()
        return pages.render_change_form(request, context, *args, obj=obj, **kwargs)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        pages: Any = super()
        response = pages.history_view(request, *args, **kwargs)
        if row := (getattr(response, "context_data", None) or {}).get("object"):
            self.rows_shown(request, [row])
        return response
