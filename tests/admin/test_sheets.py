"""Import and export of the catalogue."""

import csv
from decimal import Decimal
from io import BytesIO, StringIO

import openpyxl
import pytest
from django.contrib.auth.models import Permission
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile

from authentication.models import User
from medics.admin.sheets import FormStorage
from medics.models import Test, TestType
from tests.admin.pages import messages_on
from tests.factories import FacilityFactory, TestFactory, TestTypeFactory, UserFactory

IMPORT = "/admin/medics/test/import/"
CONFIRM = "/admin/medics/test/process_import/"
EXPORT = "/admin/medics/test/export/"
CSV, XLSX = "0", "1"

HEADINGS = ["facility", "test type", "test", "price", "description"]
UREA = ["Korle Laboratory", "CHEMISTRY", "UREA", "12.50", "Fasting"]


def csv_of(*rows) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def xlsx_of(*rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def upload(client, content: bytes, format: str = CSV, url: str = IMPORT):  # noqa: A002
    file = SimpleUploadedFile("catalogue", content)
    return client.post(url, {"format": format, "resource": "0", "import_file": file})


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
        ([*UREA[:3], "free", ""], {"price": ["“free” value must be a decimal number."]}),
        ([*UREA[:3], "NaN", ""], {"price": ["“NaN” value must be a decimal number."]}),
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


def test_what_the_database_refuses_is_shown_and_nothing_is_saved(superuser, laboratory):
    preview = upload(superuser, csv_of(HEADINGS, UREA, [*UREA[:2], "NUL", "3", "a\x00b"]))

    assert "confirm_form" not in preview.context
    assert "Row 3:" in preview.content.decode()
    assert not TestType.objects.exists()


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


@pytest.mark.parametrize("format", [CSV, XLSX])
def test_what_was_exported_is_imported_without_a_change(superuser, haematology, format):  # noqa: A002
    TestFactory(test_type=haematology, name="-DIMER", price="12.30", description='=a\nb, "c"')
    TestFactory(test_type=haematology, name="7")
    before = catalogue()

    preview = upload(superuser, export(superuser, format).content, format)

    assert preview.context["result"].totals["skip"] == 2
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
