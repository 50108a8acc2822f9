"""Who changed what: as one list, and on the page of what it happened to."""

from datetime import datetime
from functools import cache, cached_property
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from _tetradx.observability.request_record import SENT_CHARACTERS
from authentication.admin import ReadOnlyMixin
from authentication.models import User
from authentication.phone_numbers import phone_key

from ..models import HistoryEntry, Patient, Referral
from .reading import PatientDataMixin

# A list is counted, and walked through, no further.
MOST_LISTED = 10_000
ON_A_PAGE = 100


@cache
def models_by_table() -> dict[str, type[Model]]:
    models = apps.get_models(include_auto_created=True)
    return {model._meta.db_table: model for model in models if model._meta.managed}


def name_of_table(table: str) -> str:
    """The table's own where its model is gone: the history outlives what it tells of."""
    model = models_by_table().get(table)
    return str(model._meta.verbose_name) if model else table


class CappedPaginator(Paginator):
    @cached_property
    def count(self) -> int:
        entries: Any = self.object_list
        return entries.order_by()[:MOST_LISTED].count()


class EntryColumns:
    """What an entry is shown as."""

    @admin.display(description="what")
    def what(self, entry: HistoryEntry) -> str:
        return f"{name_of_table(entry.row_table)} {entry.row_id}"

    @admin.display(description="of")
    def subject(self, entry: HistoryEntry) -> SafeString | str:
        model = models_by_table().get(entry.subject_table)
        label = f"{name_of_table(entry.subject_table)} {entry.subject_id}"
        if model is None or model not in admin.site._registry or not entry.subject_id:
            return label
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_history"
        return format_html('<a href="{}">{}</a>', reverse(name, args=[entry.subject_id]), label)

    @admin.display(description="old and new")
    def values(self, entry: HistoryEntry) -> SafeString:
        old, new = entry.old or {}, entry.new or {}
        lines = [
            (name, or_dash(old.get(name)), or_dash(new.get(name)))
            for name in sorted({**old, **new})
        ]
        if entry.old is None or entry.new is None:
            lines_of_one = ((name, was if entry.new is None else now) for name, was, now in lines)
            return format_html_join(SafeString("<br>"), "{}: {}", lines_of_one)
        return format_html_join(SafeString("<br>"), "{}: {} → {}", lines)


def or_dash(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


class AboutFilter(admin.SimpleListFilter):
    title = "about"
    parameter_name = "about"
    tables = (
        User._meta.db_table,
        "auth_group",
        "medics_facility",
        "medics_testtype",
        "medics_test",
        "medics_patient",
        "medics_referral",
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(table, name_of_table(table)) for table in self.tables]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(subject_table=self.value()) if self.value() else queryset


@admin.register(HistoryEntry)
class HistoryEntryAdmin(PatientDataMixin, EntryColumns, ReadOnlyMixin, admin.ModelAdmin):
    fields = ("changed_at", "changed_by", "request_id", "action", "what", "subject", "values")
    readonly_fields = ("what", "subject", "values")
    list_display = ("changed_at", "changed_by", "action", "what", "values", "subject", "request_id")
    list_filter = ("changed_at", "action", AboutFilter)
    list_per_page = 50
    list_select_related = ("changed_by",)
    ordering = ("-changed_at", "-id")
    paginator = CappedPaginator
    # get_search_results looks for the whole of it; this makes the admin offer it.
    search_fields = ("request_id",)
    search_help_text = (
        "The whole of a request's id, a referral's or another row's, "
        "or the phone number or the id of who made the change."
    )
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Without the lines about rows that the operator may not view: they hold names and notes.

        Left out altogether, since a filter by `new__…` would tell what is hidden.
        """
        hidden = [
            model._meta.db_table
            for model in (Patient, Referral)
            if not request.user.has_perm(f"medics.view_{model._meta.model_name}")
        ]
        return super().get_queryset(request).exclude(subject_table__in=hidden)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet, bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        found = of_request(text) | Q(subject_id=text)
        people = User.objects.filter(phone_key=phone_key(text)).values_list("pk", flat=True)
        found |= Q(changed_by__in=[*people, *uuids_in(text)])
        return queryset.filter(found), False


def of_request(request_id: str) -> Q:
    """By the id in the log and in the history, or as a client sent it."""
    # That it is not empty lets the index be used.
    sent = Q(request_id__startswith=f"{request_id[:SENT_CHARACTERS]}/") & ~Q(request_id="")
    return Q(request_id=request_id) | sent


def uuids_in(text: str) -> list[UUID]:
    try:
        return [UUID(text)]
    except ValueError:
        return []


class HistoryMixin(EntryColumns):
    """The page "History" of a model admin's objects shows what the database recorded of them."""

    object_history_template: Any = "admin/medics/object_history.html"

    def history_of(self, object_id: str) -> Q:
        model: type[Model] = self.model  # type: ignore[attr-defined]
        return Q(subject_table=model._meta.db_table, subject_id=object_id)

    def latest_change(self, rows: dict[type[Model], list[Any]], *, since: datetime) -> str:
        about = Q()
        for model, pks in rows.items():
            if model is self.model:  # type: ignore[attr-defined]
                about |= self.history_of(str(pks[0]))
            else:
                table = model._meta.db_table
                about |= Q(subject_table=table, subject_id__in=[str(pk) for pk in pks])
        entries = HistoryEntry.objects.filter(about, changed_at__gt=since)
        latest = entries.select_related("changed_by").order_by("-changed_at", "-id").first()
        if latest is None:
            admin_pages: Any = super()
            return admin_pages.latest_change(rows, since=since)
        by = f"by {latest.changed_by.full_name} " if latest.changed_by else ""
        return f"{by}at {latest.changed_at:%H:%M} (UTC)"

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        entries = HistoryEntry.objects.filter(self.history_of(unquote(object_id)))
        newest_first = entries.select_related("changed_by").order_by("-changed_at", "-id")
        paginator = CappedPaginator(newest_first, ON_A_PAGE)
        page = paginator.get_page(request.GET.get(PAGE_VAR))
        for entry in page:
            entry.what_text, entry.values_text = self.what(entry), self.values(entry)
        context = {
            "action_list": page,
            "page_range": paginator.get_elided_page_range(page.number),
            "pagination_required": paginator.num_pages > 1,
        }
        admin_pages: Any = super()
        return admin_pages.history_view(request, object_id, {**context, **(extra_context or {})})
