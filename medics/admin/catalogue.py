from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from _tetradx.values.folding import SortKey
from authentication.admin import ConflictAdmin

from ..models import Facility, Test, TestType
from .base import UniqueNamesFormSet, facility_filter
from .history import HistoryMixin
from .sheets import BY_NAMES, CatalogueSheetMixin


class CatalogueAdmin(HistoryMixin, CatalogueSheetMixin, ConflictAdmin):
    list_per_page = 50

    is_in_use: Callable[[Any], bool]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One by one, and only what nothing hangs on; the database would refuse the rest."""
        may_delete = super().has_delete_permission(request, obj)
        return may_delete and obj is not None and not self.is_in_use(obj)


class TestInline(admin.TabularInline):
    model = Test
    formset = UniqueNamesFormSet
    fields = ("name", "price", "description")
    ordering: ClassVar[Any] = (SortKey("name"), "id")
    extra = 0
    can_delete = False
    show_change_link = True


def type_of(facility: Facility) -> Q:
    return Q(facility=facility)


@admin.register(TestType)
class TestTypeAdmin(CatalogueAdmin):
    inlines = (TestInline,)
    fields = ("facility", "name", "description")
    autocomplete_fields = ("facility",)
    list_display = ("name", "facility", "number_of_tests", "created_at")
    list_filter = ("created_at", facility_filter(type_of))
    ordering: ClassVar[Any] = (SortKey("facility__name"), SortKey("name"), "id")
    search_fields = ("name__folded_contains", "facility__name__folded_contains")
    search_help_text = "The name of a test type or of its facility."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        types = super().get_queryset(request).select_related("facility")
        return types.annotate(number_of_tests=Count("tests"))

    @admin.display(description="tests", ordering="number_of_tests")
    def number_of_tests(self, test_type: Any) -> int:
        return test_type.number_of_tests

    def autocomplete_label(self, test_type: TestType) -> str:
        return f"{test_type.name} ({test_type.facility})"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # A type stays at its facility; the database sees to it.
        return ("facility",) if obj else ()

    def is_in_use(self, test_type: TestType) -> bool:
        return test_type.tests.exists()

    def tests_of(self, rows: QuerySet) -> QuerySet[Test]:
        return Test.objects.filter(test_type__in=rows.order_by().values("pk"))


class TestForm(forms.ModelForm):
    def clean_test_type(self) -> TestType:
        test_type = self.cleaned_data["test_type"]
        if self.instance.pk and self.instance.test_type.facility_id != test_type.facility_id:
            raise forms.ValidationError("A test cannot move to another facility.")
        return test_type


def test_of(facility: Facility) -> Q:
    return Q(test_type__facility=facility)


@admin.register(Test)
class TestAdmin(CatalogueAdmin):
    form = TestForm
    fields = ("test_type", "name", "price", "description")
    autocomplete_fields = ("test_type",)
    list_display = ("name", "test_type", "facility", "price", "created_at")
    list_filter = ("created_at", facility_filter(test_of))
    list_select_related = ("test_type__facility",)
    ordering: ClassVar[Any] = BY_NAMES
    search_fields = (
        "name__folded_contains",
        "test_type__name__folded_contains",
        "test_type__facility__name__folded_contains",
    )
    search_help_text = "The name of a test, of its type or of its facility."

    @admin.display(ordering="test_type__facility__name")
    def facility(self, test: Test) -> Facility:
        return test.test_type.facility

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "test_type":
            type_admin: Any = self.admin_site.get_model_admin(TestType)
            field.label_from_instance = type_admin.autocomplete_label
        return field

    def is_in_use(self, test: Test) -> bool:
        return test.referral_tests.exists()

    def tests_of(self, rows: QuerySet) -> QuerySet[Test]:
        return rows
