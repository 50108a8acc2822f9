import pytest
from django.core.exceptions import ValidationError

from authentication.phone_numbers import clean_phone_number, phone_key, validate_phone_number


@pytest.mark.parametrize(
    "text",
    [
        "0244123456",
        " 024 412 3456 ",
        "024-412-3456",
        "024.412.3456",
        "(024) 412 3456",
        "[024]412\t3456",
        "024\N{NO-BREAK SPACE}412\N{EN DASH}3456",
        "024\N{NON-BREAKING HYPHEN}412\N{EM DASH}3456",
        "\N{LEFT-TO-RIGHT EMBEDDING}024 412 3456\N{POP DIRECTIONAL FORMATTING}",
        "\N{FIRST STRONG ISOLATE}024 412 3456\N{POP DIRECTIONAL ISOLATE}",
        "\N{LEFT-TO-RIGHT MARK}024\N{SOFT HYPHEN}4123456\N{ZERO WIDTH SPACE}",
        "\N{ZERO WIDTH NO-BREAK SPACE}0244123456\N{WORD JOINER}",
    ],
)
def test_spaces_dashes_dots_and_brackets_are_dropped(text):
    assert clean_phone_number(text) == "0244123456"


def test_nothing_else_is_dropped():
    assert clean_phone_number("+233x24/4") == "+233x24/4"


@pytest.mark.parametrize("number", ["1234567", "123456789012345", "+1234567", "+123456789012345"])
def test_seven_to_fifteen_digits_are_a_number(number):
    assert validate_phone_number(number) is None


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "123456",
        "1234567890123456",
        "++1234567",
        "1234567+",
        "12345a7",
        "1234567\n",
        "024412345\N{ARABIC-INDIC DIGIT SIX}",
        "024412345\N{FULLWIDTH DIGIT SIX}",
    ],
)
def test_anything_else_is_none(number):
    with pytest.raises(ValidationError):
        validate_phone_number(number)


@pytest.mark.parametrize(
    "spelling",
    ["0244123456", "024 412 3456", "+233244123456", "+233 (24) 412-3456", "00233244123456"],
)
def test_the_spellings_of_a_valid_number_share_its_e164_form(spelling):
    assert phone_key(spelling) == phone_key("+233244123456")


@pytest.mark.parametrize(
    ("region", "number", "key"),
    [
        ("GH", "00 44 7911 123456", "447911123456"),
        ("GH", "00233 24 412 3456", "+233244123456"),
        # Where one dials 011 for another country.
        ("US", "00233 24 412 3456", "233244123456"),
        ("US", "001 201 555 0123", "+12015550123"),
        ("GH", "00999 1234567", "009991234567"),
        ("GH", "00", "00"),
    ],
)
def test_two_zeros_are_a_plus_where_the_number_is_valid_then(settings, region, number, key):
    settings.PHONE_DEFAULT_REGION = region

    assert phone_key(number) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+1234567", "123-4567"),
        ("+999 1234567", "9991234567"),
        ("+447911123456", "447911123456"),
    ],
    ids=["too short", "of no country", "valid, but of another region"],
)
def test_a_number_that_is_not_valid_for_the_region_is_its_digits(one, other):
    assert phone_key(one) == phone_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("0244123456", "0244123457"), ("0244123456", "0544123456"), ("1234567", "01234567")],
)
def test_two_numbers_share_nothing(one, other):
    assert phone_key(one) != phone_key(other)


def test_the_region_is_a_setting(settings):
    settings.PHONE_DEFAULT_REGION = "NG"

    assert phone_key("0802 123 4567") == phone_key("+2348021234567")
    assert phone_key("0244123456") != phone_key("+233244123456")


@pytest.mark.parametrize("text", ["", "+", "none", "é" * 300, "1" * 300, "\x00"])
def test_what_is_no_number_has_a_key_all_the_same(text):
    assert isinstance(phone_key(text), str)
