"""What the admin's subjects share."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from _tetradx.values.folding import fold
from authentication.admin import ReadOnlyMixin

from ..models import Facility

FACILITY = "facility"

MOST_IN_AN_INLINE = 100


def facility_filter(of: Callable[[Facility], Q]) -> type[admin.SimpleListFilter]:
    """Leaves the rows of one facility, which a link chooses: all could be thousands to list."""

    class FacilityFilter(admin.SimpleListFilter):
        title = parameter_name = FACILITY

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            try:
                self.facility = forms.ModelChoiceField(Facility.objects).clean(self.value())
            except forms.ValidationError:
                self.facility = None
            return [(str(self.facility.pk), self.facility.name)] if self.facility else []

        def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
            return queryset.filter(of(self.facility)) if self.facility else queryset

    return FacilityFilter


def list_link(model_name: str, facility: Facility, label: str) -> SafeString:
    url = reverse(f"admin:{model_name}_changelist", query={FACILITY: facility.pk})
    return format_html('<a href="{}">{}</a>', url, label)


class NewestFormSet(forms.BaseInlineFormSet):
    """The newest rows alone; the inline orders them so. Others may be without number."""

    url_of_all: str
    newest: list[Model]

    def get_queryset(self) -> Any:
        if not hasattr(self, "newest"):
            rows = list(super().get_queryset()[: MOST_IN_AN_INLINE + 1])
            self.newest, self.has_more = rows[:MOST_IN_AN_INLINE], len(rows) > MOST_IN_AN_INLINE
        return self.newest


class NewestInline(ReadOnlyMixin, admin.TabularInline):
    """What can only be looked at, the newest first and no more than fit on a page."""

    formset = NewestFormSet
    template = "admin/medics/newest_inline.html"

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.url_of_all = self.url_of_all(obj) if obj else ""
        return formset

    def url_of_all(self, obj: Any) -> str:
        """Where all of the object's rows are listed, page by page."""
        return ""


class UniqueNamesFormSet(forms.BaseInlineFormSet):
    """Rows of one name, case aside, are an error of the form; each row alone sees the database."""

    def clean(self) -> None:
        super().clean()
        seen = set()
        for form in self.forms:
            name = fold(form.cleaned_data.get("name", ""))
            if name and name in seen:
                form.add_error("name", "This name stands here twice.")
            seen.add(name)
