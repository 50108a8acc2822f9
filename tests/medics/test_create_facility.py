import io
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from authentication.models import User, UserType
from medics.management.commands import create_facility as command
from medics.models import Facility, FacilityBranch
from tests.factories import PASSWORD, PractitionerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def create_facility(monkeypatch):
    """Runs the command with a terminal on which these passwords are typed; gives its output."""

    def create_facility(
        name="Korle Laboratory",
        branches=("Osu", "Legon"),
        admin_name="Efua Asante",
        admin_phone="024 412 3456",
        typed=(PASSWORD, PASSWORD),
    ):
        monkeypatch.setattr(command.sys, "stdin", mock.Mock(isatty=lambda: True))
        monkeypatch.setattr(command, "getpass", mock.Mock(side_effect=typed))
        return run(name, branches, admin_name, admin_phone)

    return create_facility


def run(name, branches, admin_name, admin_phone):
    output = io.StringIO()
    call_command(
        "create_facility",
        name,
        *(argument for branch in branches for argument in ("--branch", branch)),
        "--admin-name",
        admin_name,
        "--admin-phone",
        admin_phone,
        stdout=output,
    )
    return output.getvalue()


def assert_nothing_was_made():
    assert not Facility.objects.exists()
    assert not FacilityBranch.objects.exists()
    assert not User.objects.filter(full_name="Efua Asante").exists()


def test_a_facility_is_made_with_branches_and_administrator(create_facility):
    create_facility()

    facility = Facility.objects.get()
    assert facility.name == "Korle Laboratory"
    assert [branch.name for branch in facility.branches.order_by("id")] == ["Osu", "Legon"]
    assert facility.admin.full_name == "Efua Asante"
    assert facility.admin.phone_number == "0244123456"
    assert facility.admin.user_type == UserType.LAB_TECHNICIAN
    assert facility.admin.check_password(PASSWORD)
    assert not facility.admin.is_staff


@pytest.mark.parametrize("name", ["Korle Laboratory", "KORLE LABORATORY"])
def test_a_facility_named_as_another_is_refused(create_facility, name):
    create_facility()

    with pytest.raises(CommandError, match="name: A facility with this name already exists"):
        create_facility(name=name, admin_name="Yaw Darko", admin_phone="0207654321")

    assert Facility.objects.count() == 1
    assert not User.objects.filter(full_name="Yaw Darko").exists()


def test_what_was_made_is_printed_without_the_password(create_facility):
    output = create_facility()

    facility = Facility.objects.get()
    assert f"Facility {facility.id}: Korle Laboratory" in output
    assert all(f"Branch {branch.id}: {branch}" in output for branch in facility.branches.all())
    assert "Efua Asante (0244123456)" in output
    assert PASSWORD not in output


def test_the_administrator_logs_in_as_a_new_user(create_facility, anyone):
    create_facility()

    answer = anyone.post(
        reverse("auth:login"), {"phone_number": "+233244123456", "password": PASSWORD}
    )

    user_data = answer.json()["data"]["user_data"]
    assert user_data["is_new_user"] is True
    assert user_data["is_admin"] is True
    assert user_data["facility"] == {"id": Facility.objects.get().id, "name": "Korle Laboratory"}


def test_branches_can_be_added_later(create_facility):
    create_facility(branches=())

    assert not Facility.objects.get().branches.exists()


def test_two_facilities_may_have_branches_of_one_name(create_facility):
    create_facility()
    create_facility(name="Ridge Scans", admin_phone="0207654321")

    assert FacilityBranch.objects.filter(name="Osu").count() == 2


def test_without_a_terminal_the_password_is_the_first_line_of_the_input(monkeypatch):
    monkeypatch.setattr(command.sys, "stdin", io.StringIO(f"{PASSWORD}\nmore\n"))

    run("Korle Laboratory", ["Osu"], "Efua Asante", "0244123456")

    assert Facility.objects.get().admin.check_password(PASSWORD)


def test_without_a_terminal_and_input_nothing_is_made(monkeypatch):
    monkeypatch.setattr(command.sys, "stdin", io.StringIO())

    with pytest.raises(CommandError, match="admin_password: This field may not be blank"):
        run("Korle Laboratory", ["Osu"], "Efua Asante", "0244123456")
    assert_nothing_was_made()


def test_the_password_is_no_argument():
    with pytest.raises(CommandError, match="unrecognized arguments"):
        call_command(
            "create_facility", "Korle", "--admin-name=E", "--admin-phone=1", "--password=x"
        )


def test_two_passwords_that_differ_are_refused(create_facility):
    with pytest.raises(CommandError, match="do not match"):
        create_facility(typed=(PASSWORD, "Passw0rd!y"))
    assert_nothing_was_made()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"typed": ("weak", "weak")}, "admin_password: This password is too short"),
        ({"typed": ("password", "password")}, "admin_password: This password must contain"),
        ({"admin_phone": "none"}, "admin_phone: Enter a phone number"),
        ({"admin_name": "  "}, "admin_name: This field may not be blank"),
        ({"admin_name": "E" * 256}, "admin_name: Ensure this field has no more than 255"),
        ({"name": ""}, "name: This field may not be blank"),
        ({"name": "K\x00"}, "name: Null characters are not allowed"),
        ({"branches": ("Osu", "")}, "branch_names: .*may not be blank"),
        ({"branches": ("Osu", "Legon", "osu")}, "A branch with this name already exists"),
    ],
)
def test_bad_input_is_refused_in_clear_text_and_nothing_is_made(create_facility, changes, refusal):
    with pytest.raises(CommandError, match=refusal):
        create_facility(**changes)
    assert_nothing_was_made()


def test_a_taken_number_is_refused_in_every_spelling(create_facility):
    PractitionerFactory(phone_number="0244123456")

    with pytest.raises(CommandError, match="A user with this phone number already exists"):
        create_facility(admin_phone="+233 24 412 3456")
    assert_nothing_was_made()
