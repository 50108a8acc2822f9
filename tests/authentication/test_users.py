from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from authentication.models import User, UserType
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


def test_the_roles_and_their_values():
    assert {role.name: role.value for role in UserType} == {
        "MEDICAL_PRACTITIONER": "Medical Practitioner",
        "LAB_TECHNICIAN": "Lab Technician",
        "PATIENT": "Patient",
    }


def test_scripts_make_users_with_a_username_and_a_phone_number():
    user = User.objects.create_user(
        username="ama", phone_number="0244123456", password=PASSWORD, full_name="Ama Serwaa"
    )

    user.refresh_from_db()
    assert user.full_name == "Ama Serwaa"
    assert user.phone_number == "0244123456"
    assert user.user_type == UserType.MEDICAL_PRACTITIONER
    assert user.check_password(PASSWORD)
    assert user.created_at <= user.updated_at
    assert user.pk.version == 4


def test_a_user_needs_no_more_than_a_number():
    user = User.objects.create(phone_number="0244123456")

    assert user.full_name == ""
    assert user.user_type == UserType.MEDICAL_PRACTITIONER


def test_a_user_without_a_password_cannot_log_in(anyone):
    User.objects.create_user(phone_number="0244123456")

    for password in ("!", "None"):
        answer = anyone.post(
            reverse("auth:login"), {"phone_number": "0244123456", "password": password}
        )
        assert answer.status_code == 400


def test_accounts_made_through_the_orm_are_not_new():
    user = User.objects.create_user(
        phone_number="0244123456", password=PASSWORD, user_type=UserType.LAB_TECHNICIAN
    )

    assert not user.must_change_password


def test_a_number_is_kept_as_written_but_cleaned():
    user = User.objects.create_user(phone_number="(024) 412-3456")

    assert user.phone_number == "0244123456"
    user.refresh_from_db()
    assert user.phone_number == "0244123456"


@pytest.mark.parametrize("spelling", ["0244123456", "024 412 3456", "+233244123456"])
def test_two_spellings_of_a_number_cannot_be_two_users(spelling):
    User.objects.create_user(phone_number="0244123456")

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(phone_number=spelling)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(phone_number=spelling)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(phone_number=spelling)])
    assert User.objects.count() == 1


def test_two_spellings_in_one_bulk_cannot_be_two_users():
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create(
            [User(phone_number="0244123456"), User(phone_number="+233 24 412 3456")]
        )
    assert not User.objects.exists()


def test_users_of_a_bulk_are_found_by_every_spelling(anyone):
    user = User(phone_number="024 412 3456")
    user.set_password(PASSWORD)
    User.objects.bulk_create([user])

    answer = anyone.post(
        reverse("auth:login"), {"phone_number": "+233244123456", "password": PASSWORD}
    )

    assert answer.status_code == 200
    assert User.objects.get().phone_number == "0244123456"


@pytest.mark.parametrize("update_fields", [None, ["phone_number"], ("phone_number", "full_name")])
def test_a_changed_number_is_the_login_from_then_on(anyone, update_fields):
    user = User.objects.create_user(phone_number="0244123456", password=PASSWORD)

    user.phone_number = "020 765 4321"
    user.save(update_fields=update_fields)

    def log_in(phone_number):
        return anyone.post(
            reverse("auth:login"), {"phone_number": phone_number, "password": PASSWORD}
        )

    assert log_in("+233207654321").status_code == 200
    assert log_in("0244123456").status_code == 400
    User.objects.create_user(phone_number="0244123456")


def test_a_number_cannot_be_changed_to_anothers():
    User.objects.create_user(phone_number="0244123456")
    user = User.objects.create_user(phone_number="0207654321")

    user.phone_number = "+233244123456"
    with pytest.raises(IntegrityError), transaction.atomic():
        user.save(update_fields=["phone_number"])


def test_users_whose_number_begins_with_00_are_found_by_it_after_the_upgrade():
    early, taken = "00447911123456", "00447911123457"
    for number in (early, taken):
        User.objects.create_user(phone_number=number)
        User.objects.filter(phone_number=number).update(phone_key=number)
    other = User.objects.create_user(phone_number="+447911123457")
    migration = import_module("authentication.migrations.0007_two_zeros_are_a_plus")

    migration.renew_keys(apps, connection.schema_editor())

    assert User.objects.get_by_natural_key("+447911123456").phone_number == early
    assert User.objects.get_by_natural_key(taken) == other


def test_saving_another_column_leaves_the_number_alone():
    user = User.objects.create_user(phone_number="0244123456")

    user.phone_number = "0207654321"
    user.full_name = "Ama Serwaa"
    user.save(update_fields=["full_name"])

    user.refresh_from_db()
    assert user.full_name == "Ama Serwaa"
    assert user.phone_number == "0244123456"
    assert User.objects.get_by_natural_key("+233244123456") == user


def test_the_database_knows_the_roles():
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(phone_number="0244123456", user_type="Surgeon")


def test_a_superuser_is_an_operator(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    call_command(
        "createsuperuser",
        interactive=False,
        phone_number="024 412 3456",
        full_name="Nana Addo",
        verbosity=0,
    )

    user = User.objects.get()
    assert user.phone_number == "0244123456"
    assert user.is_staff
    assert user.is_superuser
    assert not user.must_change_password
    assert user.check_password(PASSWORD)


def test_a_superuser_with_a_taken_number_is_refused(monkeypatch, ama):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    with pytest.raises(CommandError, match="already taken"):
        call_command(
            "createsuperuser",
            interactive=False,
            phone_number=f"+233{ama.phone_number[1:]}",
            full_name="Nana Addo",
            verbosity=0,
        )
    assert User.objects.get() == ama
