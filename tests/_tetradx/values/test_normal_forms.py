"""No text is as long as a client likes when its marks are put into order."""

import random
import sys
import unicodedata
from types import SimpleNamespace

import pytest
from django.urls import reverse

from _tetradx.values import folding, names, normal_forms
from _tetradx.values.folding import fold
from _tetradx.values.names import clean_name
from authentication import passwords
from authentication.passwords import as_compared
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

LONG = "Ade\u0301" * 20_000
NUMBER = "0209777001"


@pytest.fixture
def lengths(monkeypatch):
    """The lengths of what was put into a normal form."""
    seen = [0]

    def normalize(form, text):
        seen.append(len(text))
        return unicodedata.normalize(form, text)

    recorded = SimpleNamespace(**{**vars(unicodedata), "normalize": normalize})
    for module in (normal_forms, names, folding, passwords):
        monkeypatch.setattr(module, "unicodedata", recorded, raising=False)
    return seen


@pytest.mark.parametrize(
    ("route", "role", "body"),
    [
        ("auth:login", "anonymous", {"phone_number": NUMBER, "password": LONG}),
        ("auth:login", "anonymous", {"phone_number": LONG, "password": PASSWORD}),
        (
            "auth:user-register",
            "anonymous",
            {"full_name": LONG, "phone_number": NUMBER, "password": LONG},
        ),
        (
            "medics:change-password",
            "ama",
            {"current_password": LONG, "new_password": LONG, "confirm_new_password": LONG},
        ),
        ("medics:create-referral", "ama", {"patient_full_name_or_id": LONG, "patient_id": LONG}),
        ("medics:add-branch", "efua", {"name": LONG}),
        ("utilities:add-test-types", "efua", {"name": LONG, "tests": [{"name": LONG}]}),
    ],
)
def test_a_body_full_of_marks_costs_what_another_does(client_of, lengths, route, role, body):
    answer = client_of(role).post(reverse(route), body)

    assert answer.status_code == 400
    assert max(lengths) <= normal_forms.MAX_CHARACTERS


def test_the_longest_name_is_still_in_one_form(lengths):
    # As many characters as any name is made of: four become one.
    written = "\u03b1\u0313\u0300\u0345" * 255

    assert clean_name(written) == fold(written) == "\u1f82" * 255
    assert as_compared("e\u0301" * 100) == "\u00e9" * 100
    assert max(lengths) == len(written)


def test_the_order_of_marks_is_no_other_than_that_of_unicode():
    every = [chr(code) for code in range(sys.maxunicode) if not 0xD800 <= code < 0xE000]
    marks = [character for character in every if unicodedata.combining(character)]
    marks += [chr(code) for code in normal_forms.MARKS_IN_PAIRS]
    letters = ["A", "\u00e9", "\u03b1", "\u1f82", "\u0f40", "\uac00", "\u1100", "\u1161"]
    chance = random.Random(4)  # noqa: S311 (no secret)

    for _ in range(2_000):
        text = "".join(chance.choices(letters, k=10) + chance.choices(marks, k=60))
        for form in ("NFC", "NFKC"):
            assert normal_forms.normalized(form, text) == unicodedata.normalize(form, text)


def test_marks_come_to_python_in_their_order(lengths, monkeypatch):
    ordered = []
    monkeypatch.setattr(
        normal_forms.unicodedata, "normalize", lambda form, text: ordered.append(text) or text
    )

    for marks in ("\u0301" * 500 + "\u0316" * 500, "\u0f73" * 500):
        clean_name(f"A{marks}")

    for text in ordered:
        classes = [unicodedata.combining(character) for character in text]
        assert classes == sorted(classes)
    assert len(ordered) == 2
