"""What is taken for text and for a number, the same in every body and query."""

import pytest
from django.urls import reverse

from authentication.models import User
from medics.models import Patient
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

NUMBER = "0209777001"
CREDENTIALS = {"phone_number": NUMBER, "password": PASSWORD}
NEW_PASSWORDS = {
    "current_password": PASSWORD,
    "new_password": "An0ther!one",
    "confirm_new_password": "An0ther!one",
}


def bodies(ids):
    """Each route that takes text: who may ask it, and a good body whose every value is text."""
    person = {"full_name": "Esi", **CREDENTIALS}
    return {
        "auth:user-register": ("anonymous", {**person, "confirm_password": PASSWORD}),
        "auth:login": ("anonymous", CREDENTIALS),
        "auth:token-refresh": ("anonymous", {"refresh": "a.b.c"}),
        "auth:client-refresh": ("anonymous", {"refresh_token": "a.b.c"}),
        "auth:logout": ("anonymous", {"refresh_token": "a.b.c"}),
        "medics:change-password": ("ama", NEW_PASSWORDS),
        "medics:add-branch": ("efua", {"name": "Tema"}),
        "medics:add-lab-technician": ("efua", person),
        "utilities:add-test-types": ("efua", {"name": "SEROLOGY", "otp": "123456"}),
        "medics:create-referral": (
            "ama",
            {
                "patient_full_name_or_id": "Akosua",
                "patient_contact_number": NUMBER,
                "clinical_notes": "None.",
            },
        ),
    }


# As JSON: Python would write the floats in its own way.
NO_TEXT = ["209000111.0", "1e3", "-0.0", "1e300", "123456789012345678901", "true", "false", "[[7]]"]


@pytest.mark.parametrize("value", NO_TEXT)
def test_what_is_neither_text_nor_an_integer_is_refused_under_its_field(client_of, ids, value):
    others = {
        "utilities:add-test-types": {"tests": [{"name": "HIV"}]},
        "medics:add-lab-technician": {"branch_id": ids["branch"]},
        "medics:create-referral": {"branch_id": ids["branch"], "tests": [ids["test"]]},
    }
    people = User.objects.count()
    for route, (role, texts) in bodies(ids).items():
        client = client_of(role)
        for field in texts:
            sent = {**others.get(route, {}), **texts, field: "THE VALUE"}
            body = client._encode_data(sent, "json")[0].decode().replace('"THE VALUE"', value)
            answer = client.post(reverse(route), body, content_type="application/json")
            assert answer.status_code == 400, (route, field, answer.json())
            assert list(answer.json()["detail"]) == [field], (route, answer.json())
    assert User.objects.count() == people
    assert Patient.objects.count() == 1


def test_an_integer_is_its_digits(client_of, ids):
    body = {"full_name": 4711, **CREDENTIALS, "phone_number": 209777001}

    answer = client_of("anonymous").post(reverse("auth:user-register"), body)

    assert answer.status_code == 201
    assert answer.json()["data"]["full_name"] == "4711"
    assert answer.json()["data"]["phone_number"] == "209777001"


@pytest.mark.parametrize("text", ["1_0", "\N{ARABIC-INDIC DIGIT ONE}", "0x1", "1e1", "1.5", "+-1"])
def test_what_is_no_whole_number_is_refused_under_its_name(client_of, ids, text):
    practitioner, administrator = client_of("ama"), client_of("efua")
    for name in ("page_number", "page_size", "branch_id"):
        answer = practitioner.get(reverse("medics:get-practitioner-referrals"), {name: text})
        assert answer.status_code == 400, name
        assert list(answer.json()["detail"]) == [name]
    referral = {
        "patient_full_name_or_id": "Akosua",
        "branch_id": ids["branch"],
        "tests": [ids["test"]],
    }
    for changes in ({"branch_id": text}, {"tests": [text]}):
        answer = practitioner.post(reverse("medics:create-referral"), {**referral, **changes})
        assert answer.status_code == 400
        assert list(answer.json()["detail"]) == list(changes)
    technician = {"full_name": "Esi", **CREDENTIALS, "branch_id": text}
    answer = administrator.post(reverse("medics:add-lab-technician"), technician)
    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["branch_id"]


def test_an_underscored_number_in_a_body_is_no_json(client_of):
    answer = client_of("ama").post(
        reverse("medics:create-referral"), '{"branch_id": 1_0}', content_type="application/json"
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("text", ["1_0", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_an_id_in_a_path_that_is_no_number_is_unknown(client_of, referral, text):
    path = f"/api/medics/referral-tests/{text}/status"

    answer = client_of("ama").put(path, {"status": "Completed"})

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Referral test with the given ID does not exist."
