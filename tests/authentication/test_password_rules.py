import pytest
from django.urls import reverse

from authentication.models import User

pytestmark = pytest.mark.django_db


def register(client, password):
    return client.post(
        reverse("auth:user-register"),
        {"full_name": "Ama Serwaa", "phone_number": "0244123456", "password": password},
    )


@pytest.mark.parametrize(
    "password",
    [
        "Sh0rt!x",
        "no-upper-case-1",
        "NO-LOWER-CASE-1",
        "No-Digit-At-All",
        "NoSpecial1character",
        "Only a space 1 special",
        "P@ssw0rd",
        "\uff30@ssw0rd",
        "A\u0301a\u03011!xy",
    ],
    ids=[
        "seven characters",
        "no upper-case letter",
        "no lower-case letter",
        "no digit",
        "no special character",
        "a space is no special character",
        "a common password",
        "a common password in wide letters",
        "six characters with two accents",
    ],
)
def test_a_weak_password_is_refused_under_its_field(anyone, password):
    answer = register(anyone, password)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["password"]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "password",
    ["Xk3!wq9z", "Ama Serwaa 0244123456!", "Ñandú-2-años", "pässWörd 1€", "Aa1!" * 100],
    ids=[
        "eight characters",
        "like the user's own name and number",
        "letters of any alphabet",
        "a currency sign is special",
        "as long as one likes",
    ],
)
def test_there_is_no_other_rule(anyone, password):
    assert register(anyone, password).status_code == 201
    assert User.objects.get().check_password(password)


def test_spaces_at_the_ends_belong_to_the_password(anyone):
    register(anyone, "  Xk3!wq9z  ")

    user = User.objects.get()
    assert user.check_password("  Xk3!wq9z  ")
    assert not user.check_password("Xk3!wq9z")


def test_everything_that_is_missing_is_named(anyone):
    [sentence] = register(anyone, "........").json()["detail"]["password"]

    assert "upper-case" in sentence
    assert "lower-case" in sentence
    assert "digit" in sentence
