"""Import and export of the catalogue."""

import csv
import struct
import zipfile
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO

import openpyxl
import pytest
from django.contrib.auth.models import Permission
from django.core import signing
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font

from authentication.models import User
from medics.admin.sheet_files import MAX_ROWS, escape_for_xml
from medics.admin.sheets import FormStorage
from medics.models import Test, TestType
from tests.factories import FacilityFactory, TestFactory, TestTypeFactory, UserFactory
from tests.support.admin_pages import messages_on
from tests.support.catalogue_sheets import (
    CSV,
    EXPORT,
    HEADINGS,
    IMPORT,
    UREA,
    XLSX,
    csv_of,
    upload,
    xlsx_of,
)
from tests.support.statements import statements

CONFIRM = "/admin/medics/test/process_import/"


def workbook_of(rows: str, *, strings: str = "") -> bytes:
    """A workbook made by hand, whose sheet has these rows; openpyxl writes no shared strings."""
    with zipfile.ZipFile(BytesIO(xlsx_of(HEADINGS))) as whole:
        parts = {name: whole.read(name).decode() for name in whole.namelist()}
    parts["xl/worksheets/sheet1.xml"] = f"<worksheet><sheetData>{rows}</sheetData></worksheet>"
    if strings:
        parts["xl/sharedStrings.xml"] = strings
        references = "xl/_rels/workbook.xml.rels"
        parts[references] = parts[references].replace(
            "</Relationships>",
            '<Relationship Id="rId9" Type="any/sharedStrings" Target="sharedStrings.xml"/>'
            "</Relationships>",
        )
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def confirm(client, preview, **changes):
    sent = {**preview.context["confirm_form"].initial, **changes}
    return client.post(CONFIRM, sent, follow=True)


def import_rows(client, *rows):
    """Uploads the rows below the headings and confirms the preview."""
    preview = upload(client, csv_of(HEADINGS, *rows))
    assert "confirm_form" in preview.context
    return confirm(client, preview)


def errors_of(preview) -> dict[int, dict[str, list[str]]]:
    """What the page says of each row, by its number in the sheet."""
    assert "confirm_form" not in preview.context
    return {row.number: row.error_dict for row in preview.context["result"].invalid_rows}


def catalogue() -> set[tuple]:
    tests = Test.objects.select_related("test_type__facility")
    return {
        (
            test.test_type.facility.name,
            test.test_type.name,
            test.name,
            str(test.price),
            test.description,
        )
        for test in tests
    }


def test_new_tests_and_types_are_added(superuser, laboratory, haematology):
    page = import_rows(
        superuser,
        UREA,
        ["Korle Laboratory", "CHEMISTRY", "CREATININE", "", ""],
        ["Korle Laboratory", "HAEMATOLOGY", "SICKLING", "7", ""],
    )

    assert messages_on(page) == [
        "Import finished: 3 new, 0 updated, 0 deleted and 0 skipped tests."
    ]
    assert catalogue() == {
        ("Korle Laboratory", "CHEMISTRY", "UREA", "12.50", "Fasting"),
        ("Korle Laboratory", "CHEMISTRY", "CREATININE", "0.00", ""),
        ("Korle Laboratory", "HAEMATOLOGY", "SICKLING", "7.00", ""),
    }
    assert TestType.objects.count() == 2


def test_the_preview_saves_nothing(superuser, laboratory):
    preview = upload(superuser, csv_of(HEADINGS, UREA))

    assert "UREA" in preview.content.decode()
    assert not TestType.objects.exists()


def test_tests_are_matched_by_their_names_case_aside(superuser, blood_count):
    import_rows(superuser, [" korle laboratory", "Haematology", "Full Blood Count ", "99", "EDTA"])

    assert catalogue() == {("Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT", "99.00", "EDTA")}


def test_a_test_is_not_taken_for_one_of_another_facility_or_type(superuser, blood_count):
    TestTypeFactory(facility__name="Tema Diagnostics", name="HAEMATOLOGY")

    import_rows(
        superuser,
        ["Tema Diagnostics", "HAEMATOLOGY", "FULL BLOOD COUNT", "1", ""],
        ["Korle Laboratory", "CHEMISTRY", "FULL BLOOD COUNT", "2", ""],
    )

    assert {(row[0], row[1], row[3]) for row in catalogue()} == {
        ("Korle Laboratory", "HAEMATOLOGY", "25.00"),
        ("Tema Diagnostics", "HAEMATOLOGY", "1.00"),
        ("Korle Laboratory", "CHEMISTRY", "2.00"),
    }


def test_an_empty_cell_changes_nothing(superuser, blood_count):
    Test.objects.update(description="EDTA")

    import_rows(superuser, ["Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT", "", ""])

    blood_count.refresh_from_db()
    assert (blood_count.price, blood_count.description) == (Decimal("25.00"), "EDTA")


def test_rows_that_change_nothing_are_skipped(superuser, blood_count):
    page = import_rows(
        superuser,
        ["Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT", "25", ""],
        ["", "", "", "", ""],
    )

    assert messages_on(page) == [
        "Import finished: 0 new, 0 updated, 0 deleted and 2 skipped tests."
    ]


def test_headings_may_be_in_any_order_and_case_and_columns_missing(superuser, laboratory):
    content = csv_of(["Test", "TEST_TYPE", "Facility", "remarks"], ["UREA", "CHEMISTRY", *UREA[:1]])

    confirm(superuser, upload(superuser, content))

    assert catalogue() == {("Korle Laboratory", "CHEMISTRY", "UREA", "0.00", "")}


@pytest.mark.parametrize(
    ("row", "errors"),
    [
        (["Nowhere", *UREA[1:]], {"facility": ["There is no facility of this name."]}),
        (["", *UREA[1:]], {"facility": ["There is no facility of this name."]}),
        (["Twin", *UREA[1:]], {"facility": ["There are several facilities of this name."]}),
        ([*UREA[:1], "", *UREA[2:]], {"test type": ["This field cannot be blank."]}),
        ([*UREA[:2], "", *UREA[3:]], {"test": ["This field cannot be blank."]}),
        ([*UREA[:2], "NUL\x00", *UREA[3:]], {"test": ["Null characters are not allowed."]}),
        ([*UREA[:4], "NUL\x00"], {"description": ["Null characters are not allowed."]}),
        ([*UREA[:3], "free", ""], {"price": ["“free” value must be a decimal number."]}),
        ([*UREA[:3], "NaN", ""], {"price": ["“NaN” value must be a decimal number."]}),
        ([*UREA[:3], "1_0", ""], {"price": ["“1_0” value must be a decimal number."]}),
        (
            [*UREA[:3], "\N{ARABIC-INDIC DIGIT ONE}", ""],
            {"price": ["“\N{ARABIC-INDIC DIGIT ONE}” value must be a decimal number."]},
        ),
        (
            [*UREA[:3], "-1", ""],
            {"price": ["Ensure this value is greater than or equal to 0."]},
        ),
        (
            [*UREA[:3], "1.999", ""],
            {"price": ["Ensure that there are no more than 2 decimal places."]},
        ),
    ],
)
def test_a_row_in_error_is_shown_and_nothing_is_saved(superuser, laboratory, row, errors):
    FacilityFactory.create_batch(2, name="Twin")

    preview = upload(superuser, csv_of(HEADINGS, [*UREA[:2], "GLUCOSE", "1", ""], row))

    assert errors_of(preview) == {3: errors}
    [(column, [error])] = errors.items()
    assert f"{column}: {error}" in preview.content.decode()
    assert catalogue() == set()
    assert not TestType.objects.exists()


def test_all_that_is_wrong_is_shown_at_once(superuser, laboratory):
    preview = upload(
        superuser,
        csv_of(
            HEADINGS,
            ["Nowhere", "CHEMISTRY", "UREA", "-1", ""],
            ["Korle Laboratory", "CHEMISTRY", "x" * 256, "1", ""],
        ),
    )

    assert {number: set(errors) for number, errors in errors_of(preview).items()} == {
        2: {"facility", "price"},
        3: {"test"},
    }


def test_a_test_named_twice_is_an_error(superuser, laboratory):
    preview = upload(superuser, csv_of(HEADINGS, UREA, [*UREA[:2], "Urea", "3", ""]))

    assert errors_of(preview) == {3: {"test": ["Row 2 is about the same test."]}}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT 1 / 0", "This row cannot be saved."),
        (
            "INSERT INTO medics_testtype SELECT * FROM medics_testtype",
            "This row contradicts what the catalogue holds: is its name there already?",
        ),
    ],
)
def test_what_the_database_refuses_is_told_in_words_and_nothing_is_saved(
    superuser, laboratory, monkeypatch, statement, words
):
    def save(self, *args, **kwargs):
        if self.name == "GLUCOSE":
            with connection.cursor() as cursor:
                cursor.execute(statement)
        return super(Test, self).save(*args, **kwargs)

    monkeypatch.setattr(Test, "save", save)
    rows = [[*UREA[:2], name, "3", ""] for name in ("UREA", "GLUCOSE", "SODIUM")]

    preview = upload(superuser, csv_of(HEADINGS, *rows))

    assert "confirm_form" not in preview.context
    page = preview.content.decode()
    assert [line for line in page.splitlines() if "Row " in line] == [f"  <li>Row 3: {words}</li>"]
    assert "division" not in page
    assert "duplicate key" not in page
    assert not TestType.objects.exists()


def test_an_outage_is_no_fault_of_a_row(superuser, laboratory, monkeypatch):
    def save(self, *args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(Test, "save", save)

    with pytest.raises(OperationalError):
        upload(superuser, csv_of(HEADINGS, UREA))


@pytest.mark.parametrize(
    ("headings", "error"),
    [
        (["name", "price"], "The first row does not name: facility, test, test type."),
        ([*HEADINGS, "Price"], "The first row names a column twice."),
    ],
)
def test_headings_that_do_not_do_are_an_error(superuser, laboratory, headings, error):
    preview = upload(superuser, csv_of(headings, ["x"] * len(headings)))

    assert "confirm_form" not in preview.context
    assert error in preview.content.decode()
    assert "Traceback" not in preview.content.decode()


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (b"", CSV),
        (csv_of(HEADINGS), CSV),
        (b"\xff\xfe\x00", CSV),
        (csv_of(HEADINGS, [*UREA, "one too many"]), CSV),
        (csv_of(HEADINGS, UREA), XLSX),
        (xlsx_of(HEADINGS, UREA), CSV),
        (xlsx_of(), XLSX),
        (b"x" * 600 * 1024, CSV),
    ],
)
def test_a_file_that_is_no_sheet_is_an_error(superuser, laboratory, content, format):  # noqa: A002
    response = upload(superuser, content, format)

    assert response.status_code == 200
    assert response.context["form"].errors["import_file"]
    assert not Test.objects.exists()


def test_a_workbook_is_imported(superuser, laboratory):
    content = xlsx_of(
        HEADINGS,
        ["Korle Laboratory", "CHEMISTRY", "UREA", 12.5, None],
        ["Korle Laboratory", "CHEMISTRY", 25, 27.500000000000004, "'=1+1"],
        [None, None, None, None, None],
    )

    confirm(superuser, upload(superuser, content, XLSX))

    assert catalogue() == {
        ("Korle Laboratory", "CHEMISTRY", "UREA", "12.50", ""),
        ("Korle Laboratory", "CHEMISTRY", "25", "27.50", "=1+1"),
    }


def test_a_sheet_saved_by_excel_as_csv_is_imported(superuser, laboratory):
    content = b"\xef\xbb\xbf" + csv_of(HEADINGS, [*UREA[:2], "ÜREA", "1", ""])

    confirm(superuser, upload(superuser, content))

    assert {row[2] for row in catalogue()} == {"ÜREA"}


def test_a_sheet_in_windows_1252_is_imported_with_a_warning(superuser, laboratory):
    content = csv_of(HEADINGS, [*UREA[:2], "PROTÉINE €", "1", ""]).decode().encode("cp1252")

    preview = upload(superuser, content)
    confirm(superuser, preview)

    assert "was read as Windows-1252" in preview.content.decode()
    assert {row[2] for row in catalogue()} == {"PROTÉINE €"}


@pytest.mark.parametrize("encoding", ["utf-16", "cp037", "latin-1"])
def test_a_sheet_in_another_encoding_is_told_which_is_due(superuser, laboratory, encoding):
    content = csv_of(HEADINGS, [*UREA[:2], "\x81É", "1", ""]).decode().encode(encoding)

    assert upload(superuser, content).context["form"].errors["import_file"] == [
        "This file is not text in UTF-8. Save it as “CSV UTF-8” and upload it again."
    ]


def test_a_workbook_with_a_table_of_its_texts_is_imported(superuser, laboratory):
    """As Excel and LibreOffice write it: in pieces, with readings, gaps and prefixes."""
    texts = "".join(f"<x:si><x:t>{text}</x:t></x:si>" for text in [*HEADINGS[:3], *UREA[:2]])
    content = workbook_of(
        '<x:row r="2">'
        + "".join(
            f'<x:c r="{column}2" t="s"><x:v>{n}</x:v></x:c>' for n, column in enumerate("BCD")
        )
        + '</x:row><x:row r="9"><x:c t="s"/><x:c t="s"><x:v>3</x:v></x:c>'
        '<x:c t="s"><x:v>4</x:v></x:c><x:c t="s"><x:f>A1</x:f><x:v>5</x:v></x:c></x:row>',
        strings=f"<x:sst>{texts}<x:si><x:r><x:rPr><x:b/></x:rPr><x:t>U_x00</x:t></x:r><x:r>"
        "<x:t>52_EA</x:t></x:r><x:rPh><x:t>yurea</x:t></x:rPh></x:si></x:sst>",
    )

    confirm(superuser, upload(superuser, content, XLSX))

    assert catalogue() == {("Korle Laboratory", "CHEMISTRY", "UREA", "0.00", "")}


def test_texts_in_pieces_dates_and_truths_of_a_workbook_are_what_a_person_sees(
    superuser, laboratory
):
    book = openpyxl.Workbook(write_only=False)
    book.active.append(HEADINGS)
    rich = CellRichText("FULL ", TextBlock(InlineFont(b=True), "BLOOD"), " COUNT")
    for name in (rich, True, date(2026, 3, 1), "#N/A", "A_x0041_"):
        book.active.append([*UREA[:2], escape_for_xml(name), 1])
    book.create_sheet("Another").append(["nothing"])
    file = BytesIO()
    book.save(file)

    confirm(superuser, upload(superuser, file.getvalue(), XLSX))

    assert {row[2] for row in catalogue()} == {
        "FULL BLOOD COUNT",
        "True",
        "2026-03-01 00:00:00",
        "#N/A",
        "A_x0041_",
    }


@pytest.mark.parametrize("written", ["1_0", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_what_no_spreadsheet_writes_for_a_number_is_none(superuser, laboratory, written):
    names = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in UREA[:3])
    headings = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in HEADINGS)
    price = f"<c><v>{written}</v></c>"

    page = upload(superuser, workbook_of(f"<row>{headings}</row><row>{names}{price}</row>"), XLSX)

    assert f"“{written}” value must be a decimal number." in page.content.decode()
    assert not Test.objects.exists()


def test_blank_rows_cost_nothing_and_the_others_keep_their_numbers(superuser, laboratory):
    """As a formatted cell in the last row, and a CSV of commas alone."""
    book = openpyxl.Workbook()
    book.active.append(HEADINGS)
    for column, value in enumerate(["Nowhere", *UREA[1:]], 1):
        book.active.cell(4, column, value)
    book.active.cell(1_048_576, 1).font = Font(bold=True)
    file = BytesIO()
    book.save(file)
    commas = b",,,,\n" * 80_000
    unknown = {4: {"facility": ["There is no facility of this name."]}}

    for content, format in (  # noqa: A001
        (file.getvalue(), XLSX),
        (csv_of(HEADINGS) + b"\n,,,,\n" + csv_of(["Nowhere", *UREA[1:]]) + commas, CSV),
    ):
        with statements() as sent:
            preview = upload(superuser, content, format)
        assert errors_of(preview) == unknown
        assert len(sent) < 15
    assert preview.context["result"].totals["skip"] == 80_001 + 1


def statements_of_import(superuser, rows: int) -> int:
    """Transaction control included."""
    content = csv_of(HEADINGS, *([*UREA[:2], f"TEST {n}", "25", ""] for n in range(rows)))
    with CaptureQueriesContext(connection) as captured:
        preview = upload(superuser, content)
    assert preview.context["result"].totals["skip"] == rows
    return len(captured)


def test_rows_that_change_nothing_cost_no_statements(superuser, laboratory):
    chemistry = TestTypeFactory(facility=laboratory, name="CHEMISTRY")
    for n in range(200):
        TestFactory(test_type=chemistry, name=f"TEST {n}")

    assert statements_of_import(superuser, 10) == statements_of_import(superuser, 200)


def wide(column: str) -> str:
    return f'<row><c r="{column}1" t="str"><v>facility</v></c></row>'


def with_a_claim_of_one_byte(content: bytes) -> bytes:
    """Its parts are larger than the file says."""
    sizes = [info.file_size for info in zipfile.ZipFile(BytesIO(content)).infolist()]
    for size in sizes:
        content = content.replace(struct.pack("<L", size), struct.pack("<L", 1))
    return content


HEADING_CELLS = "".join(f'<c t="str"><v>{heading}</v></c>' for heading in HEADINGS)
LONG_ROW = "".join('<c t="s"><v>0</v></c>' for _ in range(3))


@pytest.mark.parametrize(
    ("content", "format", "error"),
    [
        (
            lambda: csv_of(HEADINGS, *([*UREA[:2], n, "1", ""] for n in range(MAX_ROWS + 1))),
            CSV,
            "The sheet has more than 5,000 rows. Split it into several.",
        ),
        (
            lambda: xlsx_of(HEADINGS, *([n] for n in range(MAX_ROWS + 1))),
            XLSX,
            "The sheet has more than 5,000 rows. Split it into several.",
        ),
        (lambda: csv_of(["test"] * 51, ["x"]), CSV, "Row 1 has more than 50 columns."),
        (lambda: workbook_of(wide("XFD")), XLSX, "Row 1 has more than 50 columns."),
        (lambda: workbook_of("<row/>" * 500_001), XLSX, "The file is larger inside"),
        (lambda: workbook_of(" " * 17 * 1024**2), XLSX, "The file is larger inside"),
        (
            lambda: with_a_claim_of_one_byte(workbook_of(" " * 17 * 1024**2)),
            XLSX,
            "This file cannot be read as this format.",
        ),
        (
            lambda: workbook_of("", strings=f"<sst>{'<si/>' * 50_001}</sst>"),
            XLSX,
            "The file is larger inside",
        ),
        (
            lambda: workbook_of(
                f"<row>{HEADING_CELLS}</row>" + f"<row>{LONG_ROW}</row>" * 100,
                strings=f"<sst><si><t>{'x' * 32_767}</t></si></sst>",
            ),
            XLSX,
            "The cells hold more than 4,000,000 characters. Split the file into several.",
        ),
        (
            lambda: workbook_of(
                "",
                strings='<!DOCTYPE sst [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
                "<sst><si><t>&b;</t></si></sst>",
            ),
            XLSX,
            "The file declares entities of its own, which no spreadsheet does.",
        ),
        (lambda: workbook_of('<row><c t="s"><v>7</v></c></row>'), XLSX, "This file cannot be read"),
    ],
)
def test_a_file_beyond_a_limit_is_refused_before_anything_is_asked_of_the_database(
    superuser,
    laboratory,
    content,
    format,  # noqa: A002
    error,
):
    made = content()
    assert len(made) < 512 * 1024

    with statements() as sent:
        [told] = upload(superuser, made, format).context["form"].errors["import_file"]

    assert told.startswith(error)
    assert not [statement for statement in sent if "medics_" in statement]


def test_the_form_says_its_limits(superuser):
    field = superuser.get(IMPORT).context["form"].fields["import_file"]

    assert "512 kB, 5,000 rows, blank ones not counted, and 50 columns" in field.help_text


def test_only_csv_and_xlsx_are_offered(superuser, laboratory):
    for url in (IMPORT, EXPORT):
        choices = superuser.get(url).context["form"].fields["format"].choices
        assert [label for value, label in choices if value] == ["csv", "xlsx"]
    assert upload(superuser, b"[]", format="2").context["form"].errors["format"]


def test_what_goes_wrong_after_the_preview_saves_nothing(superuser, laboratory):
    FacilityFactory(name="Tema Diagnostics")
    preview = upload(superuser, csv_of(HEADINGS, ["Tema Diagnostics", *UREA[1:]], UREA))
    FacilityFactory(name="Korle Laboratory")

    page = confirm(superuser, preview)

    assert messages_on(page) == [
        "Nothing was imported: the catalogue has changed since the preview. Upload the file again."
    ]
    assert not TestType.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"import_file_name": "/etc/passwd"},
        {"import_file_name": signing.dumps("b64", salt="another")},
        {"format": "7"},
        {"format": "x"},
        {"resource": "7"},
    ],
)
def test_a_forged_confirmation_is_refused(superuser, laboratory, changes):
    preview = upload(superuser, csv_of(HEADINGS, UREA))

    response = confirm(superuser, preview, **changes)

    assert response.status_code == 200
    assert list(response.context["confirm_form"].errors) == list(changes)
    assert not Test.objects.exists()


@pytest.mark.parametrize(("format", "other"), [(CSV, XLSX), (XLSX, CSV)])
def test_a_confirmation_of_another_format_imports_nothing(superuser, laboratory, format, other):  # noqa: A002
    content = {CSV: csv_of, XLSX: xlsx_of}[format](HEADINGS, UREA)

    page = confirm(superuser, upload(superuser, content, format), format=other)

    [message] = messages_on(page)
    assert message.startswith("Nothing was imported. This file ")
    assert not Test.objects.exists()


def test_a_preview_is_good_for_an_hour(monkeypatch):
    storage = FormStorage()
    storage.save(b"abc")
    assert FormStorage(name=storage.name).read() == b"abc"

    monkeypatch.setattr("medics.admin.sheets.CONFIRM_WITHIN_SECONDS", -1)

    with pytest.raises(signing.SignatureExpired):
        FormStorage(name=storage.name).read()


def test_the_import_leaves_the_sequence_of_ids_alone(superuser, laboratory):
    """Reset to the highest id that it sees, it would hand out those of others once more."""
    taken = TestFactory().pk
    Test.objects.filter(pk=taken).delete()

    import_rows(superuser, UREA)

    assert Test.objects.get().pk > taken


# Export


def export(client, format: str = CSV, url: str = EXPORT, query: str = ""):  # noqa: A002
    return client.post(f"{url}{query}", {"format": format, "resource": "0"})


def rows_of(response) -> list[list[str]]:
    return list(csv.reader(StringIO(response.content.decode("utf-8-sig"))))


def test_the_catalogue_is_exported(superuser, blood_count, sickling):
    rows = rows_of(export(superuser))

    assert rows == [
        HEADINGS,
        ["Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT", "25.00", ""],
        ["Korle Laboratory", "HAEMATOLOGY", "SICKLING", "25.00", ""],
    ]


def test_a_workbook_is_exported_with_prices_as_numbers(superuser, blood_count):
    response = export(superuser, XLSX)

    sheet = openpyxl.load_workbook(BytesIO(response.content)).active
    rows = [[cell.value for cell in row] for row in sheet.rows]
    assert rows[0] == HEADINGS
    assert rows[1][:3] == ["Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT"]
    assert rows[1][3] == 25
    assert ".xlsx" in response["Content-Disposition"]


@pytest.mark.parametrize("format", [CSV, XLSX])
@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_is_a_formula(superuser, haematology, start, format):  # noqa: A002
    TestFactory(test_type=haematology, name=f"{start}1+1", description=f"{start}cmd()")

    response = export(superuser, format)

    if format == CSV:
        row = rows_of(response)[1]
    else:
        cells = list(openpyxl.load_workbook(BytesIO(response.content)).active.rows)[1]
        assert not [cell for cell in cells if cell.data_type == "f"]
        row = [cell.value for cell in cells]
    assert (row[2], row[4]) == (f"'{start}1+1", f"'{start}cmd()")


NAMES = [
    "-DIMER",
    "7",
    "'=1",
    "=1",
    "''@x",
    "'plain",
    "\t+1",
    "＝1",  # noqa: RUF001
    "_x0041_",
    "CONTROL\x01CHARACTER",
    "#N/A",
]


@pytest.mark.parametrize("format", [CSV, XLSX])
def test_what_was_exported_is_imported_without_a_change(superuser, haematology, format):  # noqa: A002
    """Names, too, that are not taken on their way in any more."""
    for name in NAMES:
        TestFactory(
            test_type=haematology, name=name, price="12.30", description=f' {name}\r\nb, "c"\x1f '
        )
    before = catalogue()

    preview = upload(superuser, export(superuser, format).content, format)

    assert preview.context["result"].totals["skip"] == len(NAMES)
    assert "This file changes nothing." in preview.content.decode()
    confirm(superuser, preview)
    assert catalogue() == before


def test_the_list_of_types_exports_and_imports_their_tests(superuser, blood_count, laboratory):
    TestFactory()
    url = "/admin/medics/testtype/"

    rows = rows_of(export(superuser, url=f"{url}export/", query=f"?facility={laboratory.pk}"))
    preview = upload(superuser, csv_of(HEADINGS, UREA), url=f"{url}import/")
    superuser.post(f"{url}process_import/", preview.context["confirm_form"].initial)

    assert [row[2] for row in rows[1:]] == ["FULL BLOOD COUNT"]
    assert Test.objects.filter(name="UREA", test_type__facility=laboratory).exists()


def test_the_export_costs_the_same_for_any_number_of_rows(
    superuser, haematology, django_assert_max_num_queries
):
    TestFactory.create_batch(30, test_type=haematology)

    with django_assert_max_num_queries(6):
        export(superuser)


# Who may


def test_imports_and_exports_need_their_permissions(browser, laboratory):
    onlooker = UserFactory(is_staff=True)
    onlooker.user_permissions.add(Permission.objects.get(codename="view_test"))
    client = browser(User.objects.get(pk=onlooker.pk))

    assert upload(client, csv_of(HEADINGS, UREA)).status_code == 403
    assert client.post(CONFIRM, {}).status_code == 403
    assert export(client).status_code == 200
    assert export(client, url="/admin/medics/testtype/export/").status_code == 403


def test_nobody_else_gets_in(client, browser, efua, laboratory):
    for visitor in (client, browser(efua)):
        for url in (IMPORT, EXPORT, CONFIRM):
            assert visitor.post(url).status_code == 302
