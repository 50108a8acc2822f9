from collections import Counter

import pytest
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from authentication.models import User, UserType
from medics.models import BranchTechnician
from tests.factories import PASSWORD, FacilityBranchFactory, PractitionerFactory
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

URL = "/api/medics/lab-technicians/add"
NUMBER = "0209876543"
TAKEN = {"phone_number": ["A user with this phone number already exists."]}


def add(client, branch, **changes):
    body = {
        "full_name": "Kojo Antwi",
        "phone_number": NUMBER,
        "branch_id": branch.id,
        "password": PASSWORD,
    }
    return client.post(URL, {**body, **changes})


def assert_nobody_was_added():
    assert not User.objects.filter(full_name="Kojo Antwi").exists()
    assert not BranchTechnician.objects.exists()


def test_the_path_is_the_contracts():
    assert reverse("medics:add-lab-technician") == URL


def test_the_administrator_adds_a_technician(signed_in, efua, branch):
    answer = add(signed_in(efua), branch)

    technician = User.objects.get(phone_number=NUMBER)
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert answer.json() == {
        "status": "success",
        "message": "Lab technician added successfully",
        "data": {
            "id": str(technician.id),
            "full_name": "Kojo Antwi",
            "phone_number": NUMBER,
            "user_type": "Lab Technician",
            "facility_name": "Korle Laboratory",
            "facility_branch_name": "Osu",
            "created_at": data["created_at"],
        },
    }
    assert data["created_at"].endswith("Z")
    assert parse_datetime(data["created_at"]) == technician.created_at
    assert technician.user_type == UserType.LAB_TECHNICIAN
    assert technician.check_password(PASSWORD)
    assert technician.must_change_password
    assignment = BranchTechnician.objects.get()
    assert assignment.user == technician
    assert assignment.branch == branch
    assert not assignment.is_admin


def test_the_technician_logs_in_as_a_new_user(signed_in, anyone, efua, branch):
    add(signed_in(efua), branch)

    answer = anyone.post(reverse("auth:login"), {"phone_number": NUMBER, "password": PASSWORD})

    user_data = answer.json()["data"]["user_data"]
    assert user_data["is_new_user"] is True
    assert user_data["branches"] == [{"id": str(branch.id), "name": "Osu"}]


def test_the_branch_may_be_named_by_its_id_as_a_string(signed_in, efua, branch):
    assert add(signed_in(efua), branch, branch_id=str(branch.id)).status_code == 201


@pytest.mark.parametrize("spelling", ["0244123456", "024-412-3456", "+233244123456"])
def test_a_taken_number_is_refused_in_every_spelling(signed_in, efua, branch, spelling):
    PractitionerFactory(phone_number="0244123456")

    answer = add(signed_in(efua), branch, phone_number=spelling)

    assert answer.status_code == 400
    assert answer.json()["detail"] == TAKEN
    assert_nobody_was_added()


def test_a_closed_branch_is_refused(signed_in, efua, laboratory):
    closed = FacilityBranchFactory(facility=laboratory, is_active=False)

    answer = add(signed_in(efua), closed)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["branch_id"]
    assert_nobody_was_added()


def test_another_facilitys_branch_is_refused(signed_in, efua, laboratory):
    answer = add(signed_in(efua), FacilityBranchFactory())

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["branch_id"]
    assert_nobody_was_added()


@pytest.mark.parametrize(
    "branch_id",
    [0, -1, 999999, 2**63 - 1, 2**63, 10**30, 1.5, "none", "9" * 2000, "", None, [], {}, True],
)
def test_what_is_no_branch_is_refused(signed_in, efua, branch, branch_id):
    answer = add(signed_in(efua), branch, branch_id=branch_id)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["branch_id"]
    assert_nobody_was_added()


@pytest.mark.parametrize("password", ["weak", "password", "PASSW0RD!"])
def test_a_weak_password_is_refused(signed_in, efua, branch, password):
    answer = add(signed_in(efua), branch, password=password)

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == ["password"]
    assert_nobody_was_added()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full_name", ""),
        ("full_name", "A" * 256),
        ("full_name", "a\x00b"),
        ("phone_number", "123456"),
        ("phone_number", "024412345a"),
        ("phone_number", None),
        ("password", None),
    ],
)
def test_bad_input_is_refused_under_its_field(signed_in, efua, branch, field, value):
    answer = add(signed_in(efua), branch, **{field: value})

    assert answer.status_code == 400
    assert list(answer.json()["detail"]) == [field]
    assert_nobody_was_added()


def test_missing_fields_are_all_named(signed_in, efua, laboratory):
    answer = signed_in(efua).post(URL, {})

    assert answer.status_code == 400
    assert answer.json()["detail"] == {
        field: ["This field is required."]
        for field in ["full_name", "phone_number", "branch_id", "password"]
    }


def test_other_keys_are_ignored(signed_in, efua, branch):
    add(signed_in(efua), branch, user_type="Patient", is_staff=True, must_change_password=False)

    technician = User.objects.get(phone_number=NUMBER)
    assert technician.user_type == UserType.LAB_TECHNICIAN
    assert technician.must_change_password
    assert not technician.is_staff


@pytest.mark.parametrize("who", ["kofi", "ama"])
def test_whoever_administers_no_facility_is_refused(signed_in, branch, request, who):
    answer = add(signed_in(request.getfixturevalue(who)), branch)

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Unauthorized: Only facility admins can add Lab Technicians."
    assert not User.objects.filter(phone_number=NUMBER).exists()


def test_without_a_token_nobody_is_added(anyone, branch):
    assert add(anyone, branch).status_code == 401
    assert_nobody_was_added()


def test_adding_takes_six_statements(signed_in, efua, branch):
    client = signed_in(efua)

    with statements() as sent:
        add(client, branch)

    # the user with session and facility, the branch, the account's turn, how many it added, the
    # technician's account, the assignment
    assert len(sent) == 6


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_with_one_number_one_is_added(signed_in, efua, branch):
    client = signed_in(efua)

    answers = at_once(
        lambda number: add(client, branch, phone_number=number), [NUMBER, "+233 20 987 6543"]
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 1}
    [refused] = [answer for answer in answers if answer.status_code == 400]
    assert refused.json()["detail"] == TAKEN
    assert BranchTechnician.objects.count() == 1
    assert User.objects.filter(full_name="Kojo Antwi").count() == 1
