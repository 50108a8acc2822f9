"""The catalogue as a spreadsheet: a row for each test, found by names instead of ids."""

import base64
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import mark_safe
from import_export.admin import ImportExportMixin
from import_export.fields import Field
from import_export.formats.base_formats import CSV, XLSX
from import_export.forms import ConfirmImportForm, ExportForm, ImportForm
from import_export.resources import Diff, ModelResource
from import_export.results import Result, RowResult
from import_export.tmp_storages import BaseStorage
from import_export.widgets import DecimalWidget
from tablib import Dataset

from _tetradx.folding import SortKey, fold
from _tetradx.names import clean_name

from ..models import Facility, Test, TestType

# What makes a spreadsheet take a cell for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

CONFIRM_WITHIN_SECONDS = 3600

# Of tests, as people read them.
BY_NAMES = (
    SortKey("test_type__facility__name"),
    SortKey("test_type__name"),
    SortKey("name"),
    "id",
)


def text_of(cell: Any) -> str:
    """What a person sees in the cell."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        # A computed cell holds 27.500000000000004; a whole number may come as 12.0.
        cell = round(cell, 6)
        cell = int(cell) if cell == int(cell) else cell
    text = str(cell).strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def escape_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def key_of(name: str) -> str:
    return fold(clean_name(name))


class SheetResult(Result):
    """Numbers the rows as the sheet does, whose first row is the headings."""

    def append_invalid_row(self, number: int, row: Any, validation_error: Any) -> None:
        super().append_invalid_row(number + 1, row, validation_error)

    def row_errors(self) -> list[tuple[int, list[Any]]]:
        return [(row.number + 1, row.errors) for row in self.error_rows]


class UnstyledDiff(Diff):
    """Leaves the looks of a change to the library's style sheet, which overrides them anyway: the
    content security policy allows no style within a page."""

    def as_html(self) -> list[str]:
        # Nothing but the library writes a tag here: it escapes the cells.
        cells = (re.sub(r'<(ins|del) style="[^"]*">', r"<\1>", cell) for cell in super().as_html())
        return [mark_safe(cell) for cell in cells]  # noqa: S308


class Entry(NamedTuple):
    """A row of the sheet, understood. A type that the facility lacks is not saved yet."""

    test_type: TestType
    name: str
    price: Decimal | None
    description: str


class CatalogueResource(ModelResource):
    facility = Field("test_type__facility__name", "facility")
    test_type = Field("test_type__name", "test type")
    test = Field("name", "test")
    price = Field("price", "price", widget=DecimalWidget())
    description = Field("description", "description")

    class Meta:
        model = Test
        fields = ("facility", "test_type", "test", "price", "description")
        import_id_fields = ("facility", "test_type", "test")
        skip_unchanged = True
        report_skipped = False
        use_transactions = True

    @classmethod
    def get_result_class(cls) -> type[Result]:
        return SheetResult

    def get_diff_class(self) -> type[Diff]:
        return UnstyledDiff

    def before_import(self, dataset: Dataset, **kwargs: Any) -> None:
        """Loads what the rows may name, so that a row costs no look-up."""
        headings = [text_of(heading).lower().replace("_", " ") for heading in dataset.headers]
        dataset.headers = headings
        self.rows_by_key: dict[tuple[str, str, str], int] = {}
        self.facilities: dict[str, list[Facility]] = {}
        for facility in Facility.objects.all():
            self.facilities.setdefault(key_of(facility.name), []).append(facility)
        names = {key_of(text_of(row.get("facility"))) for row in dataset.dict}
        ids = [facility.pk for name in names for facility in self.facilities.get(name, [])]
        types = TestType.objects.filter(facility__in=ids).select_related("facility")
        self.types = {(type.facility_id, key_of(type.name)): type for type in types}  # noqa: A001
        tests = Test.objects.filter(test_type__facility__in=ids)
        self.tests = {
            (test.test_type_id, key_of(test.name)): test
            for test in tests.select_related("test_type__facility")
        }
        missing = {"facility", "test type", "test"} - set(headings)
        if missing:
            raise ValueError(f"The first row does not name: {', '.join(sorted(missing))}.")
        named = [heading for heading in headings if heading]
        if len(named) > len(set(named)):
            raise ValueError("The first row names a column twice.")

    def import_row(self, row: Any, instance_loader: Any, **kwargs: Any) -> RowResult:
        if any(text_of(cell) for cell in row.values()):
            return super().import_row(row, instance_loader, **kwargs)
        blank = RowResult()
        blank.import_type = RowResult.IMPORT_TYPE_SKIP
        return blank

    def before_import_row(self, row: Any, **kwargs: Any) -> None:
        """Raises ValidationError with all that is wrong with the row, by column."""
        errors: dict[str, list[str]] = {}

        def clean(column: str, field: Any) -> Any:
            try:
                return field.clean(text_of(row.get(column)), None)
            except ValidationError as error:
                errors[column] = error.messages

        facilities = self.facilities.get(key_of(text_of(row.get("facility"))), [])
        if len(facilities) != 1:
            what = "There are several facilities" if facilities else "There is no facility"
            errors["facility"] = [f"{what} of this name."]
        type_name = clean("test type", TestType._meta.get_field("name"))
        name = clean("test", Test._meta.get_field("name"))
        has_price = text_of(row.get("price")) != ""
        price = clean("price", Test._meta.get_field("price")) if has_price else None
        if errors:
            raise ValidationError(errors)

        [facility] = facilities
        key = (key_of(facility.name), key_of(type_name), key_of(name))
        first = self.rows_by_key.setdefault(key, kwargs["row_number"])
        if first != kwargs["row_number"]:
            raise ValidationError({"test": [f"Row {first + 1} is about the same test."]})
        test_type = self.types.setdefault(
            (facility.pk, key_of(type_name)), TestType(facility=facility, name=type_name)
        )
        self.entry = Entry(test_type, name, price, text_of(row.get("description")))

    def get_instance(self, instance_loader: Any, row: Any) -> Test | None:
        return self.tests.get((self.entry.test_type.pk, key_of(self.entry.name)))

    def init_instance(self, row: Any = None) -> Test:
        return Test(test_type=self.entry.test_type, name=self.entry.name)

    def import_instance(self, instance: Test, row: Any, **kwargs: Any) -> None:
        if self.entry.price is not None:
            instance.price = self.entry.price
        if self.entry.description:
            instance.description = self.entry.description

    def skip_row(self, instance: Test, *args: Any, **kwargs: Any) -> bool:
        return not instance._state.adding and super().skip_row(instance, *args, **kwargs)

    def before_save_instance(self, instance: Test, row: Any, **kwargs: Any) -> None:
        if self.entry.test_type._state.adding:
            self.entry.test_type.save()
        instance.test_type = self.entry.test_type

    def after_import(self, dataset: Dataset, result: Result, **kwargs: Any) -> None:
        """Leaves the sequence of ids alone, which the sheet does not touch.

        The library would reset it to the highest id that this transaction sees, and so hand out
        those of transactions under way once more.
        """

    def export_field(self, field: Field, instance: Test, **kwargs: Any) -> Any:
        return escape_formula(super().export_field(field, instance, **kwargs))


class FormStorage(BaseStorage):
    """Keeps the uploaded file, signed, in the form that confirms its import.

    In the folder for temporary files, as the library has it, the next request to another machine
    would not find it, nobody would remove what is not confirmed, and the form could name any file.
    """

    def save(self, data: bytes) -> None:
        encoded = base64.b64encode(data).decode()
        self.name = signing.dumps(encoded, salt=__name__, compress=True)

    def read(self) -> bytes:
        """Raises BadSignature where it is not ours or too old."""
        encoded = signing.loads(self.name, salt=__name__, max_age=CONFIRM_WITHIN_SECONDS)
        return base64.b64decode(encoded)

    def remove(self) -> None:
        pass


class UploadForm(ImportForm):
    def clean_import_file(self) -> Any:
        """What goes on within the confirming form must not be too large for a form."""
        file = self.cleaned_data["import_file"]
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2
        if file.size > limit:
            raise ValidationError(
                f"This file is larger than {limit // 1024} kB. Split it into several."
            )
        return file


class ConfirmForm(ConfirmImportForm):
    format = forms.ChoiceField(choices=[("0", "CSV"), ("1", "XLSX")], widget=forms.HiddenInput)
    resource = forms.ChoiceField(choices=[("0", "")], required=False, widget=forms.HiddenInput)

    def clean_import_file_name(self) -> str:
        name = super().clean_import_file_name()
        try:
            FormStorage(name=name).read()
        except signing.BadSignature:
            raise ValidationError("This preview is too old. Upload the file again.") from None
        return name


class CatalogueSheetMixin(ImportExportMixin):
    """Imports and exports the catalogue, as CSV and XLSX, in a model admin."""

    resource_classes = (CatalogueResource,)
    import_formats = export_formats = (CSV, XLSX)
    import_form_class = UploadForm
    confirm_form_class = ConfirmForm
    # The library's own form of selectable columns needs scripts within the page.
    export_form_class = ExportForm
    tmp_storage_class = FormStorage
    import_template_name = "admin/medics/import_catalogue.html"
    to_encoding = "utf-8-sig"  # or Excel takes it for Latin-1

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(
            ["medics.add_testtype", "medics.add_test", "medics.change_test"]
        )

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    # The tests that a selection of this admin's rows stands for.
    tests_of: Callable[[QuerySet], QuerySet[Test]]

    def get_export_queryset(self, request: HttpRequest) -> QuerySet[Test]:
        rows: QuerySet[models.Model] = super().get_export_queryset(request)
        tests = self.tests_of(rows).select_related("test_type__facility")
        return tests.order_by(*BY_NAMES)

    def get_export_filename(
        self, request: HttpRequest, queryset: QuerySet, file_format: Any
    ) -> str:
        return f"catalogue-{timezone.now():%Y-%m-%d}.{file_format.get_extension()}"

    def get_import_data_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        kwargs = super().get_import_data_kwargs(**kwargs)
        return {**kwargs, "rollback_on_validation_errors": True}

    def process_result(self, result: Result, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or result.has_validation_errors():
            messages.error(
                request,
                "Nothing was imported: the catalogue has changed since the preview. "
                "Upload the file again.",
            )
            app_label, model_name = self.get_model_info()
            return redirect(f"admin:{app_label}_{model_name}_import")
        return super().process_result(result, request)
