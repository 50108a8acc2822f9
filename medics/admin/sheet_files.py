"""Spreadsheet files, CSV and XLSX, read and written within limits.

Nothing that a file says of itself is believed. An XLSX is read as a stream, without a tree of its
elements, so what it costs is bounded by the limits below, however it was made.
"""

import csv
import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from math import isfinite, nan
from typing import Any
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from import_export.formats.base_formats import CSV, XLSX
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.cell import column_index_from_string
from openpyxl.utils.datetime import from_excel
from tablib import Dataset

from _tetradx.values.numbers import DECIMAL_NUMBER

# Below the headings, without the blank ones, which cost nothing.
MAX_ROWS = 5_000
MAX_COLUMNS = 50
# Of all cells together: many cells of an XLSX can share one long text.
MAX_CHARACTERS = 4_000_000
# Of a workbook: its unpacked parts, what they consist of, and its table of texts.
MAX_UNPACKED_BYTES = 16 * 1024 * 1024
MAX_ELEMENTS = 500_000
MAX_SHARED_STRINGS = 50_000

READ_BYTES = 64 * 1024
MAX_FORMAT_CHARACTERS = 255

# What makes a spreadsheet take a cell for a formula (OWASP, CSV injection).
FORMULA_STARTS = "=+\\-@\t\r\n＝＋－＠"  # noqa: RUF001
IS_FORMULA = re.compile(f"'*[{FORMULA_STARTS}]")
IS_ESCAPED_FORMULA = re.compile(f"'+[{FORMULA_STARTS}]")

# XML holds no control characters and reads a carriage return as a line feed; XLSX writes both as
# _xHHHH_, and an underscore that would begin such a piece as _x005F_ (ECMA-376, ST_Xstring).
NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4})")
ESCAPED_IN_XML = re.compile("_x([0-9A-Fa-f]{4})_")

# What no text holds but a file in another encoding, or no text at all.
NOT_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


class SheetError(ValueError):
    """Says in words for a person why a file, or a row of it, cannot be imported."""


class Sheet(Dataset):
    """The rows that hold anything, as long as the headings, with their numbers in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[Any] = []
        self.numbers: list[int] = []
        self.blank_rows = 0
        self.characters = 0
        # What a person should know of how the file was read.
        self.note = ""

    def take(self, number: int, cells: list[Any]) -> None:
        """Adds the next row of the file; the first that holds anything has the headings.

        Raises SheetError beyond a limit, and for a cell below no heading.
        """
        while cells and is_blank(cells[-1]):
            cells.pop()
        if not cells:
            self.blank_rows += 1
            return
        if len(cells) > MAX_COLUMNS:
            raise too_many_columns(number)
        self.characters += sum(len(cell) for cell in cells if isinstance(cell, str))
        if self.characters > MAX_CHARACTERS:
            raise SheetError(
                f"The cells hold more than {MAX_CHARACTERS:,} characters. "
                "Split the file into several."
            )
        if not self.headings:
            self.headers = self.headings = cells
            return
        if len(cells) > len(self.headings):
            raise SheetError(f"Row {number} has more cells than there are headings.")
        if len(self.numbers) == MAX_ROWS:
            raise SheetError(f"The sheet has more than {MAX_ROWS:,} rows. Split it into several.")
        self.numbers.append(number)
        self.append([*cells, *[None] * (len(self.headings) - len(cells))])


def is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def escape_formula(cell: Any) -> Any:
    """unescape_formula's inverse: no spreadsheet takes the cell for a formula."""
    return f"'{cell}" if isinstance(cell, str) and IS_FORMULA.match(cell) else cell


def unescape_formula(text: str) -> str:
    return text[1:] if IS_ESCAPED_FORMULA.match(text) else text


def escape_for_xml(cell: Any) -> Any:
    """unescape_from_xml's inverse: XML can hold the text."""
    if not isinstance(cell, str):
        return cell
    return NOT_IN_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", cell)


def unescape_from_xml(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code = int(found[1], 16)
        return found[0] if 0xD800 <= code <= 0xDFFF else chr(code)

    return ESCAPED_IN_XML.sub(character, text)


@contextmanager
def told_in_words() -> Iterator[None]:
    """Raises SheetError for whatever a parser raises on what is no file of its format."""
    try:
        yield
    except SheetError:
        raise
    except Exception as error:
        raise SheetError("This file cannot be read as this format.") from error


class CsvSheet(CSV):
    @told_in_words()
    def create_dataset(self, in_stream: bytes, **kwargs: Any) -> Sheet:
        sheet = Sheet()
        text, sheet.note = decode(in_stream)
        for number, cells in enumerate(csv.reader(StringIO(text, newline="")), 1):
            sheet.take(number, cells)
        return sheet


def decode(content: bytes) -> tuple[str, str]:
    """The text, and what a person should know of how it was read.

    Raises SheetError where it is neither UTF-8 nor Windows-1252, in which Excel for Windows saves
    what it calls CSV.
    """
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp1252")
        if NOT_IN_TEXT.search(text):
            raise ValueError
    except ValueError:
        raise SheetError(
            "This file is not text in UTF-8. Save it as “CSV UTF-8” and upload it again."
        ) from None
    return text, (
        "This file is not in UTF-8 and was read as Windows-1252. Look whether letters with accents "
        "are right; if not, save it as “CSV UTF-8” and upload it again."
    )


class XlsxSheet(XLSX):
    @told_in_words()
    def create_dataset(self, in_stream: bytes, **kwargs: Any) -> Sheet:
        sheet = Sheet()
        Workbook(in_stream).read_into(sheet)
        return sheet

    def export_data(self, dataset: Dataset, **kwargs: Any) -> bytes:
        rows = ([escape_for_xml(cell) for cell in row] for row in dataset)
        return super().export_data(Dataset(*rows, headers=dataset.headers), **kwargs)


class Workbook:
    """What the active worksheet of an XLSX file shows: values, of formulas the computed ones."""

    def __init__(self, content: bytes):
        self.archive = ZipFile(BytesIO(content))
        self.bytes_left = MAX_UNPACKED_BYTES
        self.elements_left = MAX_ELEMENTS
        # The file's own claim, which spares unpacking; `parse` counts what there is.
        if sum(part.file_size for part in self.archive.infolist()) > MAX_UNPACKED_BYTES:
            raise too_large()

    def read_into(self, sheet: Sheet) -> None:
        """Raises SheetError beyond a limit, and whatever else for what is no workbook."""
        [workbook] = self.targets("", "officeDocument").values()
        worksheets = self.targets(workbook, "worksheet")
        sheets: list[str] = []
        active = 0

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal active
            if name == "sheet":
                sheets.extend(id for key, id in attributes.items() if key.endswith(":id"))  # noqa: A001
            elif name == "workbookView":
                active = int(attributes.get("activeTab", 0))

        self.parse(workbook, start)
        active_sheet = sheets[active] if active < len(sheets) else ""
        worksheet = worksheets.get(active_sheet) or worksheets[min(worksheets, key=sheets.index)]
        strings = [
            text
            for part in self.targets(workbook, "sharedStrings").values()
            for text in self.shared_strings(part)
        ]
        dates = {
            style
            for part in self.targets(workbook, "styles").values()
            for style in self.date_styles(part)
        }
        self.take_rows(worksheet, strings, dates, sheet)

    def parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        """Calls with the names of the part's elements, without their prefixes, and their texts."""

        def start_element(name: str, attributes: dict[str, str]) -> None:
            self.elements_left -= 1
            if self.elements_left < 0:
                raise too_large()
            start(name.rpartition(":")[2], attributes)

        def refuse(*_declaration: Any) -> None:
            raise SheetError("The file declares entities of its own, which no spreadsheet does.")

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = refuse
        parser.StartElementHandler = start_element
        if end:
            parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
        if text:
            parser.CharacterDataHandler = text
        info = self.archive.getinfo(part)
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise SheetError("The file is packed in a way that no spreadsheet is.")
        with self.archive.open(info) as stream:
            while piece := stream.read(READ_BYTES):
                self.bytes_left -= len(piece)
                if self.bytes_left < 0:
                    raise too_large()
                parser.Parse(piece, False)
        parser.Parse(b"", True)

    def targets(self, source: str, kind: str) -> dict[str, str]:
        """The parts of this kind that a part, or the file itself, refers to, by their ids there."""
        folder, name = posixpath.split(source)
        found: dict[str, str] = {}

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "Relationship" and attributes["Type"].endswith(f"/{kind}"):
                path = posixpath.join("/", folder, attributes["Target"])
                found[attributes["Id"]] = posixpath.normpath(path).lstrip("/")

        self.parse(posixpath.join(folder, "_rels", f"{name}.rels"), start)
        return found

    def shared_strings(self, part: str) -> list[str]:
        strings: list[str] = []
        pieces: list[str] = []
        # Only the texts, and not how they are read aloud.
        is_text, is_phonetic = False, False

        def start(name: str, _attributes: dict[str, str]) -> None:
            nonlocal is_text, is_phonetic
            if name == "si":
                pieces.clear()
            is_phonetic = is_phonetic or name == "rPh"
            is_text = name == "t" and not is_phonetic

        def end(name: str) -> None:
            nonlocal is_text, is_phonetic
            is_text = False
            is_phonetic = is_phonetic and name != "rPh"
            if name == "si":
                if len(strings) == MAX_SHARED_STRINGS:
                    raise too_large()
                strings.append(unescape_from_xml("".join(pieces)))

        def text(piece: str) -> None:
            if is_text:
                pieces.append(piece)

        self.parse(part, start, end, text)
        return strings

    def date_styles(self, part: str) -> list[int]:
        """Which of the cells' styles show a number as a date."""
        codes = dict(BUILTIN_FORMATS)
        formats: list[int] = []
        is_cell_style = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal is_cell_style
            if name == "numFmt":
                code = attributes.get("formatCode", "")
                codes[int(attributes["numFmtId"])] = code[:MAX_FORMAT_CHARACTERS]
            elif name == "cellXfs":
                is_cell_style = True
            elif name == "xf" and is_cell_style:
                formats.append(int(attributes.get("numFmtId", 0)))

        def end(name: str) -> None:
            nonlocal is_cell_style
            is_cell_style = is_cell_style and name != "cellXfs"

        self.parse(part, start, end)
        are_dates = {id for id in set(formats) if is_date_format(codes.get(id))}  # noqa: A001
        return [style for style, id in enumerate(formats) if id in are_dates]  # noqa: A001

    def take_rows(self, part: str, strings: list[str], dates: set[int], sheet: Sheet) -> None:
        row: list[Any] = []
        pieces: list[str] = []
        row_number, column = 0, 0
        kind, style = "n", 0
        is_value = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal row, row_number, column, kind, style, is_value
            if name == "row":
                row_number = int(attributes.get("r", row_number + 1))
                row, column = [], 0
            elif name == "c":
                reference = attributes.get("r")
                column += 1
                if reference:
                    column = column_index_from_string(reference.rstrip("0123456789"))
                kind, style = attributes.get("t", "n"), int(attributes.get("s", 0))
                pieces.clear()
            is_value = name in ("v", "t")

        def end(name: str) -> None:
            nonlocal is_value
            is_value = False
            if name == "c" and pieces:
                value = value_of("".join(pieces), kind, strings, is_date=style in dates)
                if is_blank(value):
                    return
                if column > MAX_COLUMNS:
                    raise too_many_columns(row_number)
                row.extend([None] * (column - len(row)))
                row[column - 1] = value
            elif name == "row":
                sheet.take(row_number, row)

        def text(piece: str) -> None:
            if is_value:
                pieces.append(piece)

        self.parse(part, start, end, text)


def value_of(text: str, kind: str, strings: list[str], *, is_date: bool) -> Any:
    """What a cell holds: its `kind` is the attribute `t` of its element."""
    if kind == "s":
        return strings[int(text)]
    if kind == "b":
        return text == "1"
    if kind != "n":
        return unescape_from_xml(text)
    # Python takes more for a number than a spreadsheet writes.
    number = float(text) if DECIMAL_NUMBER.fullmatch(text) else nan
    if not isfinite(number):
        return text
    return from_excel(number) if is_date else number


def too_many_columns(row_number: int) -> SheetError:
    return SheetError(f"Row {row_number} has more than {MAX_COLUMNS} columns.")


def too_large() -> SheetError:
    return SheetError(
        f"The file is larger inside than {MAX_UNPACKED_BYTES // 1024**2} MB, {MAX_ELEMENTS:,} "
        f"cells or {MAX_SHARED_STRINGS:,} texts. Split it into several."
    )
