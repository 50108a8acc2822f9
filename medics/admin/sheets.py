"""The catalogue as a spreadsheet: a row for each test, found by names instead of ids."""

import base64
import logging
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import IntegrityError, InterfaceError, OperationalError, models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import mark_safe
from import_export.admin import ImportExportMixin
from import_export.fields import Field
from import_export.forms import ConfirmImportForm, ExportForm, ImportForm
from import_export.resources import Diff, ModelResource
from import_export.results import Error, Result, RowResult
from import_export.tmp_storages import BaseStorage
from import_export.widgets import DecimalWidget
from tablib import Dataset

from _tetradx.values.folding import SortKey, fold
from _tetradx.values.names import clean_name

from ..models import Facility, Test, TestType
from .sheet_files import (
    MAX_COLUMNS,
    MAX_ROWS,
    CsvSheet,
    Sheet,
    SheetError,
    XlsxSheet,
    escape_formula,
    unescape_formula,
)

logger = logging.getLogger(__name__)

CONFIRM_WITHIN_SECONDS = 3600

prohibit_null_characters = ProhibitNullCharactersValidator()
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
    return unescape_formula(str(cell)).strip()


def key_of(name: str) -> str:
    return fold(clean_name(name))


class RowError(Error):
    """Tells why a row could not be saved in words of ours; the database's own are for the log."""

    def __init__(self, error: Exception, row: Any = None, number: int | None = None):
        super().__init__(error, row, number)
        if isinstance(error, IntegrityError):
            words = "This row contradicts what the catalogue holds: is its name there already?"
        else:
            logger.error("A row of a sheet could not be saved.", exc_info=error)
            words = "This row cannot be saved."
        self.error = SheetError(words)
        self.cause = error


class SheetResult(Result):
    def __init__(self, sheet: Sheet):
        super().__init__()
        self.note = sheet.note
        self.total_rows = len(sheet)
        self.totals[RowResult.IMPORT_TYPE_SKIP] = sheet.blank_rows

    def take(self, number: int, row: dict[str, Any], row_result: RowResult) -> None:
        """`number` is the row's in the sheet, whose first rows are blank or the headings."""
        self.increment_row_result_total(row_result)
        if row_result.errors:
            self.append_error_row(number, row, row_result.errors)
        elif row_result.validation_error:
            self.append_invalid_row(number, row, row_result.validation_error)
        if row_result.import_type != RowResult.IMPORT_TYPE_SKIP:
            self.append_row_result(row_result)

    def row_errors(self) -> list[tuple[int, list[Any]]]:
        return [(row.number, row.errors) for row in self.error_rows]


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
    # None where it is new.
    test: Test | None
    name: str
    price: Decimal | None
    description: str

    @property
    def changes_nothing(self) -> bool:
        return (
            self.test is not None
            and self.price in (None, self.test.price)
            and self.description in ("", self.test.description.strip())
        )


class CatalogueResource(ModelResource):
    facility = Field("test_type__facility__name", "facility")
    test_type = Field("test_type__name", "test type")
    test = Field("name", "test")
    price = Field("price", "price", widget=DecimalWidget(coerce_to_string=False))
    description = Field("description", "description")

    class Meta:
        model = Test
        fields = ("facility", "test_type", "test", "price", "description")
        import_id_fields = ("facility", "test_type", "test")
        use_transactions = True

    @classmethod
    def get_error_result_class(cls) -> type[Error]:
        return RowError

    def get_diff_class(self) -> type[Diff]:
        return UnstyledDiff

    def import_data_inner(
        self,
        dataset: Sheet,
        dry_run: bool,
        raise_errors: bool,
        using_transactions: bool,
        collect_failed_rows: bool,
        **kwargs: Any,
    ) -> SheetResult:
        """The library's own makes a savepoint for each row, and numbers rows without the blanks."""
        result = SheetResult(dataset)
        result.diff_headers = self.get_diff_headers()
        try:
            self.before_import(dataset, **kwargs)
        except SheetError as error:
            result.append_base_error(Error(error))
            return result
        kwargs |= {"dry_run": dry_run, "using_transactions": using_transactions}
        for number, cells in zip(dataset.numbers, dataset, strict=True):
            row = dict(zip(dataset.headers, cells, strict=True))
            result.take(number, row, self.import_row(row, None, row_number=number, **kwargs))
        return result

    def before_import(self, dataset: Dataset, **kwargs: Any) -> None:
        """Loads what the rows may name, so that a row costs no look-up.

        Raises SheetError where the headings do not do.
        """
        headings = [text_of(heading).lower().replace("_", " ") for heading in dataset.headers]
        dataset.headers = headings
        missing = {"facility", "test type", "test"} - set(headings)
        if missing:
            raise SheetError(f"The first row does not name: {', '.join(sorted(missing))}.")
        named = [heading for heading in headings if heading]
        if len(named) > len(set(named)):
            raise SheetError("The first row names a column twice.")
        self.rows_by_key: dict[tuple[str, str, str], int] = {}
        self.facilities: dict[str, list[Facility]] = {}
        for facility in Facility.objects.all():
            self.facilities.setdefault(key_of(facility.name), []).append(facility)
        names = {key_of(text_of(name)) for name in dataset["facility"]}
        ids = [facility.pk for name in names for facility in self.facilities.get(name, [])]
        types = TestType.objects.filter(facility__in=ids).select_related("facility")
        self.types = {(type.facility_id, key_of(type.name)): type for type in types}  # noqa: A001
        tests = Test.objects.filter(test_type__facility__in=ids)
        self.tests = {
            (test.test_type_id, key_of(test.name)): test
            for test in tests.select_related("test_type__facility")
        }

    def import_row(self, row: Any, instance_loader: Any, **kwargs: Any) -> RowResult:
        result = RowResult()
        try:
            self.entry = self.entry_of(row, kwargs["row_number"])
        except ValidationError as error:
            result.import_type = RowResult.IMPORT_TYPE_INVALID
            result.validation_error = error
            return result
        if self.entry.changes_nothing:
            result.import_type = RowResult.IMPORT_TYPE_SKIP
            return result
        result = super().import_row(row, instance_loader, **kwargs)
        for told in result.errors:
            if isinstance(told.cause, (OperationalError, InterfaceError)):
                # No fault of the row: the database is busy or away.
                raise told.cause
        return result

    def entry_of(self, row: dict[str, Any], number: int) -> Entry:
        """Raises ValidationError with all that is wrong with the row, by column.

        The name of what is there already is good, however it came to be.
        """
        errors: dict[str, list[str]] = {}

        def clean(column: str, field: Any) -> Any:
            text = text_of(row.get(column))
            try:
                prohibit_null_characters(text)
                return field.clean(text, None)
            except ValidationError as error:
                errors[column] = error.messages

        facility_name, type_name, name = (
            text_of(row.get(column)) for column in ("facility", "test type", "test")
        )
        facilities = self.facilities.get(key_of(facility_name), [])
        if len(facilities) != 1:
            what = "There are several facilities" if facilities else "There is no facility"
            errors["facility"] = [f"{what} of this name."]
        facility = facilities[0] if facilities else None
        test_type = self.types.get((facility.pk, key_of(type_name))) if facility else None
        test = self.tests.get((test_type.pk, key_of(name))) if test_type else None
        if test_type is None:
            type_name = clean("test type", TestType._meta.get_field("name"))
        if test is None:
            name = clean("test", Test._meta.get_field("name"))
        has_price = text_of(row.get("price")) != ""
        price = clean("price", Test._meta.get_field("price")) if has_price else None
        description = clean("description", Test._meta.get_field("description"))
        if errors or facility is None:
            raise ValidationError(errors)

        key = (key_of(facility.name), key_of(type_name), key_of(name))
        first = self.rows_by_key.setdefault(key, number)
        if first != number:
            raise ValidationError({"test": [f"Row {first} is about the same test."]})
        if test_type is None:
            test_type = TestType(facility=facility, name=type_name)
            self.types[facility.pk, key_of(type_name)] = test_type
        return Entry(test_type, test, name, price, description)

    def get_instance(self, instance_loader: Any, row: Any) -> Test | None:
        return self.entry.test

    def init_instance(self, row: Any = None) -> Test:
        return Test(test_type=self.entry.test_type, name=self.entry.name)

    def import_instance(self, instance: Test, row: Any, **kwargs: Any) -> None:
        if self.entry.price is not None:
            instance.price = self.entry.price
        if self.entry.description:
            instance.description = self.entry.description

    def save_instance(self, *args: Any, **kwargs: Any) -> None:
        """What the database refuses is undone for this row alone, so that the others are told."""
        with transaction.atomic():
            super().save_instance(*args, **kwargs)

    def before_save_instance(self, instance: Test, row: Any, **kwargs: Any) -> None:
        if self.entry.test_type._state.adding:
            self.entry.test_type.save()
        instance.test_type = self.entry.test_type

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


def largest_file_bytes() -> int:
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2


class UploadForm(ImportForm):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["import_file"].help_text = (
            f"CSV in UTF-8, or XLSX, of which the sheet is read that it opens with. At most "
            f"{largest_file_bytes() // 1024} kB, {MAX_ROWS:,} rows, blank ones not counted, and "
            f"{MAX_COLUMNS} columns."
        )

    def clean_import_file(self) -> Any:
        """What goes on within the confirming form must not be too large for a form."""
        file = self.cleaned_data["import_file"]
        if file.size > largest_file_bytes():
            raise ValidationError(
                f"This file is larger than {largest_file_bytes() // 1024} kB. "
                "Split it into several."
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
    import_formats = export_formats = (CsvSheet, XlsxSheet)
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

    def add_data_read_fail_error_to_form(self, form: Any, e: Exception) -> None:
        form.add_error("import_file", str(e))

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

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return super().process_import(request, **kwargs)
        except SheetError as error:
            # The form names another format than that of the file, which was read for the preview.
            messages.error(request, f"Nothing was imported. {error}")
            return self.to_upload()

    def to_upload(self) -> HttpResponse:
        app_label, model_name = self.get_model_info()
        return redirect(f"admin:{app_label}_{model_name}_import")

    def process_result(self, result: Result, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or result.has_validation_errors():
            messages.error(
                request,
                "Nothing was imported: the catalogue has changed since the preview. "
                "Upload the file again.",
            )
            return self.to_upload()
        return super().process_result(result, request)
