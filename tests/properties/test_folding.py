import sys
import unicodedata

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as some

from _tetradx.values.folding import WHITE_SPACE, fold, name_key

pytestmark = pytest.mark.django_db

# Whatever Python's Unicode knows; an older or newer one of the database knows it alike.
KNOWN = [
    chr(code)
    for code in range(1, sys.maxunicode + 1)
    if unicodedata.category(chr(code)) not in {"Cn", "Cs"}
]
MARKS = [character for character in KNOWN if unicodedata.combining(character)]
CASED = [c for c in KNOWN if c != c.lower() or c != c.upper()]
characters = some.characters(exclude_categories=["Cn", "Cs"], exclude_characters="\0")
texts = some.text(
    characters
    | some.sampled_from(CASED)
    | some.sampled_from(MARKS)
    | some.sampled_from("\u0130I\u0131\u1e9e\u00df\u03c2\u03c3\u03a3 aE%_\\"),
    max_size=30,
)


def by_the_database(texts):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tetradx_fold(text), tetradx_name_key(text)"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS given (text, n) ORDER BY n",
            [texts],
        )
        return cursor.fetchall()


def in_python(texts):
    return [(fold(text), name_key(text)) for text in texts]


def test_of_every_character_alone_and_every_letter_before_each_accent():
    pairs = [letter + chr(accent) for letter in CASED for accent in range(0x300, 0x346)]
    for some_texts in (KNOWN, pairs):
        assert by_the_database(some_texts) == in_python(some_texts)


@given(some.lists(texts, max_size=20))
def test_of_any_text(some_texts):
    assert by_the_database(some_texts) == in_python(some_texts)


@given(texts)
def test_what_is_folded_is_folded(text):
    assert fold(fold(text)) == fold(text)
    assert name_key(name_key(text)) == name_key(text)


@given(texts)
def test_it_is_one_in_every_normal_form_that_means_the_same(text):
    for form in ("NFC", "NFD"):
        assert fold(unicodedata.normalize(form, text)) == fold(text)


@given(texts)
def test_no_case_and_no_white_space_is_left(text):
    folded = fold(text)
    assert not (set(WHITE_SPACE) - {" "}) & set(folded)
    assert " " not in name_key(text)
    assert all(character.lower() == character for character in folded)


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("İ", "i", True),
        ("ẞ", "ß", True),
        ("ß", "ss", False),
        ("ς", "Σ", True),
        ("\u0131", "i", False),
        ("ﬁ", "fi", False),
        ("\u0041\u030a", "\u212b", True),
        ("\u00a0", "\u2009", True),
    ],
)
def test_as_the_contract_has_it(one, other, are_one):
    assert (fold(one) == fold(other)) is are_one
