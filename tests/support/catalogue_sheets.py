"""Sheets of the catalogue, and their upload on the admin site."""

import csv
from io import BytesIO, StringIO

import openpyxl
from django.core.files.uploadedfile import SimpleUploadedFile

IMPORT = "/admin/medics/test/import/"
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
