from collections import Counter

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from authentication.models import User, UserType
from tests.factories import PASSWORD, PractitionerFactory
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

AMA = {"full_name": "Ama Serwaa", "phone_number": "0244123456", "password": PASSWORD}
TAKEN = {"phone_number": ["A user with this phone number already exists."]}


def register(client=None, **changes):
    return (client or APIClient()).post(reverse("auth:user-register"), {**AMA, **changes})


def test_the_path_is_the_contracts():
    assert reverse("auth:user-register") == "/api/auth/register"


def test_whoever_registers_becomes_a_practitioner():
    answer = register()

    user = User.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "status": "success",
        "message": "User registered successfully",
        "data": {
            "id": str(user.id),
            "full_name": "Ama Serwaa",
            "phone_number": "0244123456",
            "user_type": "Medical Practitioner",
        },
    }
    assert user.user_type == UserType.MEDICAL_PRACTITIONER
    assert user.check_password(PASSWORD)
    assert not user.must_change_password


def test_other_keys_are_ignored():
    answer = register(
        id="00000000-0000-0000-0000-000000000000",
        user_type="Lab Technician",
        is_staff=True,
        is_superuser=True,
        is_active=False,
        must_change_password=True,
    )

    user = User.objects.get()
    assert answer.status_code == 201
    assert user.user_type == UserType.MEDICAL_PRACTITIONER
    assert user.is_active
    assert not user.is_staff
    assert not user.is_superuser
    assert not user.must_change_password
    assert str(user.id) != "00000000-0000-0000-0000-000000000000"


def test_a_confirmation_that_is_the_same_is_fine():
    assert register(confirm_password=PASSWORD).status_code == 201


def test_a_confirmation_that_differs_is_refused():
    answer = register(confirm_password="Passw0rd!y")

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["confirm_password"]
    assert not User.objects.exists()


@pytest.mark.parametrize("field", ["full_name", "phone_number", "password"])
@pytest.mark.parametrize("value", ["", "   ", None, [], {}, "a\x00b"])
def test_a_value_that_is_none_is_refused_under_its_field(field, value):
    answer = register(**{field: value})

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == [field]
    assert not User.objects.exists()


def test_missing_fields_are_all_named():
    answer = APIClient().post(reverse("auth:user-register"), {})

    assert answer.status_code == 400
    assert answer.json()["detail"] == {
        field: ["This field is required."] for field in ["full_name", "phone_number", "password"]
    }


def test_a_name_longer_than_its_column_is_refused():
    answer = register(full_name="A" * 256)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["full_name"]


def test_the_answer_gives_the_number_as_written_but_cleaned():
    answer = register(phone_number=" \u202a+233 (24)\u200b 412-34.56\u202c ")

    assert answer.json()["data"]["phone_number"] == "+233244123456"
    assert User.objects.get().phone_number == "+233244123456"


@pytest.mark.parametrize(
    "number", ["123456", "1234567890123456", "+", "02441234ab", "00+233244123"]
)
def test_what_is_no_number_is_refused(number):
    answer = register(phone_number=number)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["phone_number"]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "spelling", ["0244123456", "024 412 3456", "+233 24 412 3456", "233244123456", "00233244123456"]
)
def test_a_taken_number_is_refused_in_every_spelling(spelling):
    PractitionerFactory(phone_number="0244123456")

    answer = register(phone_number=spelling)

    assert answer.status_code == 400
    assert answer.json() == {"status": "error", "code": "400", "detail": TAKEN}
    assert User.objects.count() == 1


def test_a_dead_token_does_not_matter():
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer dead")

    assert register(client).status_code == 201


def test_registering_takes_two_statements():
    with statements() as sent:
        register()

    assert len(sent) == 2


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_with_one_number_one_is_registered():
    spellings = ["0244123456", "024-412-3456", "+233244123456", "233 24 412 3456"] * 5

    answers = at_once(lambda number: register(phone_number=number), spellings)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 19}
    assert all(answer.json()["detail"] == TAKEN for answer in answers if answer.status_code == 400)
    assert User.objects.count() == 1
