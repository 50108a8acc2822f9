from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from rest_framework.exceptions import ValidationError

from _tetradx.values.folding import SortKey, fold
from authentication.admin import ConflictAdmin
from authentication.models import User

from ..models import Facility, FacilityBranch
from ..services.facilities import refuse_known_facility
from .base import UniqueNamesFormSet, list_link
from .history import HistoryMixin
from .new_passwords import have_new_password_given, page_of_new_password

LISTS = (
    ("authentication_user", "People"),
    ("medics_testtype", "Test types"),
    ("medics_test", "Tests"),
    ("medics_referral", "Referrals"),
)


class FacilityForm(forms.ModelForm):
    class Meta:
        model = Facility
        fields = ("name", "contact_number", "admin")
        labels = {"admin": "Administrator"}
        help_texts = {
            "admin": "Adds branches and technicians, and sees the referrals to all branches. "
            "Whom you choose here takes over from whoever it was."
        }
        error_messages = {"admin": {"unique": "This person administers another facility already."}}

    def clean_name(self) -> str:
        """One that is kept is not asked about: a database of before may hold it twice."""
        name = self.cleaned_data["name"]
        if fold(name) != fold(self.instance.name):
            try:
                refuse_known_facility(name)
            except ValidationError as error:
                raise forms.ValidationError(error.detail["name"]) from None
        return name

    def clean_admin(self) -> User | None:
        chosen = self.cleaned_data["admin"]
        if chosen is not None:
            # Nobody gives this person another place of work until the form is saved.
            User.objects.select_for_update(no_key=True).get(pk=chosen.pk)
            elsewhere = chosen.branch_assignments.exclude(branch__facility=self.instance.pk)
            assignment = elsewhere.select_related("branch__facility").first()
            if assignment is not None:
                raise forms.ValidationError(
                    f"This person works at a branch of {assignment.branch.facility}."
                )
        return chosen


class BranchInline(admin.TabularInline):
    model = FacilityBranch
    formset = UniqueNamesFormSet
    fields = ("name", "is_active")
    ordering: ClassVar[Any] = (SortKey("name"), "id")
    extra = 0
    can_delete = False
    show_change_link = False
    verbose_name_plural = "branches (untick to close one; its referrals are kept)"


@admin.register(Facility)
class FacilityAdmin(HistoryMixin, ConflictAdmin):
    form = FacilityForm
    inlines = (BranchInline,)
    fieldsets = (
        (None, {"fields": ("name", "contact_number", "admin")}),
        ("See also", {"fields": ("lists", "created_at")}),
    )
    readonly_fields = ("lists", "created_at")
    autocomplete_fields = ("admin",)
    list_display = ("name", "administrator", "open_branches", "contact_number", "created_at")
    list_filter = (("admin", admin.EmptyFieldListFilter), "created_at")
    list_per_page = 50
    list_select_related = ("admin",)
    ordering: ClassVar[Any] = (SortKey("name"), "id")
    search_fields = ("name__folded_contains", "admin__full_name__folded_contains")
    search_help_text = "The name of a facility or of its administrator."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        is_open = Q(branches__is_active=True)
        return super().get_queryset(request).annotate(open=Count("branches", filter=is_open))

    @admin.display(description="administrator", ordering="admin__full_name")
    def administrator(self, facility: Facility) -> User | None:
        return facility.admin

    @admin.display(description="open branches", ordering="open")
    def open_branches(self, facility: Any) -> int:
        return facility.open

    @admin.display(description="lists")
    def lists(self, facility: Facility) -> SafeString:
        links = (list_link(model, facility, label) for model, label in LISTS)
        return format_html_join(" · ", "{}", ((link,) for link in links))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        may_appoint = request.user.has_perm("medics.appoint_administrator")
        return fields if may_appoint else (*fields, "admin")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else self.fieldsets[:1]

    def save_model(self, request: HttpRequest, obj: Facility, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.admin is not None and "admin" in form.changed_data:
            have_new_password_given(request, obj.admin)

    def response_add(self, request: HttpRequest, obj: Facility, *args: Any) -> HttpResponse:
        return page_of_new_password(request) or super().response_add(request, obj, *args)

    def response_change(self, request: HttpRequest, obj: Facility) -> HttpResponse:
        return page_of_new_password(request) or super().response_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
