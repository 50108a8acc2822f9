import re

from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as some

from authentication.models import User
from authentication.phone_numbers import (
    WELL_FORMED,
    clean_phone_number,
    phone_key,
)
from tests.factories import PASSWORD

REGISTER, LOGIN = reverse("auth:user-register"), reverse("auth:login")

separators = some.text(" -.()[]\t\N{NO-BREAK SPACE}\N{EN DASH}", max_size=2)
# Valid in Ghana: some of its mobile networks.
subscribers = some.builds(
    "{}{:07}".format,
    some.sampled_from(["20", "23", "24", "26", "27", "50", "53", "54", "55"]),
    some.integers(0, 10**7 - 1),
)
numbers = some.from_regex(WELL_FORMED, fullmatch=True)
texts = some.text(max_size=40) | some.text("+0123456789 -().[]", max_size=25) | numbers


@some.composite
def spellings(draw, subscriber):
    """The number with or without the country's code, and separators anywhere."""
    number = draw(some.sampled_from(["0", "+233", "00233", "233"])) + subscriber
    return draw(separators) + "".join(character + draw(separators) for character in number)


def register(client, phone_number):
    body = {"full_name": "Ama Serwaa", "phone_number": phone_number, "password": PASSWORD}
    return client.post(REGISTER, body)


def log_in(client, phone_number):
    return client.post(LOGIN, {"phone_number": phone_number, "password": PASSWORD})


@given(texts)
def test_cleaning_twice_is_cleaning_once(text):
    assert clean_phone_number(clean_phone_number(text)) == clean_phone_number(text)


@given(subscribers.flatmap(lambda number: some.tuples(spellings(number), spellings(number))))
def test_the_spellings_of_a_number_are_one_user(anyone, undone, pair):
    one, other = pair
    with undone():
        registered = register(anyone, one)
        assert registered.status_code == 201
        assert registered.json()["data"]["phone_number"] == clean_phone_number(one)
        assert register(anyone, other).json()["detail"] == {
            "phone_number": ["A user with this phone number already exists."]
        }
        assert (
            log_in(anyone, other).json()["data"]["user_data"]
            | {
                "phone_number": clean_phone_number(one),
                "id": registered.json()["data"]["id"],
            }
            == log_in(anyone, one).json()["data"]["user_data"]
        )


@given(some.tuples(subscribers, subscribers).filter(lambda pair: pair[0] != pair[1]))
def test_two_numbers_are_two_users(anyone, undone, pair):
    with undone():
        assert [register(anyone, f"0{number}").status_code for number in pair] == [201, 201]


@given(texts)
def test_what_is_no_number_is_refused_by_its_field(anyone, undone, text):
    with undone():
        answer = register(anyone, text)
        if re.fullmatch(r"\+?[0-9]{7,15}", clean_phone_number(text)):
            assert answer.status_code == 201
            assert User.objects.get().phone_number == clean_phone_number(text)
        else:
            assert answer.status_code == 400
            assert answer.json()["detail"].keys() == {"phone_number"}
            assert not User.objects.exists()


@given(texts)
def test_whatever_is_sent_as_a_number_a_login_is_refused_and_does_not_crash(anyone, undone, text):
    with undone():
        assert log_in(anyone, text).status_code == 400


@given(numbers)
def test_the_key_of_a_number_fits_its_column(number):
    assert 0 < len(phone_key(number)) <= User._meta.get_field("phone_key").max_length
