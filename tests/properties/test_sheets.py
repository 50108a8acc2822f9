from hypothesis import given
from hypothesis import strategies as some

from medics.admin.sheet_files import (
    escape_for_xml,
    escape_formula,
    unescape_formula,
    unescape_from_xml,
)

# What the escapes are made of, close together, and any other character that a database holds.
texts = some.text(
    some.sampled_from("'=+-@\t\r\n＝_x0045FD\x01\x0b\x1f\ufffe") | some.characters(min_codepoint=1)  # noqa: RUF001
)


@given(texts)
def test_a_cell_is_read_as_it_was_written_and_is_no_formula(text):
    assert unescape_formula(escape_formula(text)) == text
    assert escape_formula(text) == text or not escape_formula(text).startswith(tuple("=+-@\t\r\n"))


@given(texts, texts)
def test_no_two_texts_are_written_alike(one, another):
    assert (escape_formula(one) == escape_formula(another)) == (one == another)


@given(texts)
def test_a_text_of_a_workbook_is_read_as_it_was_written(text):
    escaped = escape_for_xml(text)

    assert unescape_from_xml(escaped) == text
    assert not set(escaped) & {chr(code) for code in range(32)} - set("\t\n")
