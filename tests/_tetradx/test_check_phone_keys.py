from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from authentication.models import User
from medics.models import Patient
from tests.factories import PatientFactory, UserFactory

pytestmark = pytest.mark.django_db

TABLES = {
    User: ("authentication_user", "phone_number", "phone_key"),
    Patient: ("medics_patient", "contact_number", "contact_key"),
}


def change_by_hand(row, number, key):
    """As SQL can: the key is named, and is not the number's."""
    table, number_column, key_column = TABLES[type(row)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {number_column} = %s, {key_column} = %s WHERE id = %s",  # noqa: S608
            [number, key, row.pk],
        )


def check(**options):
    """What the command printed, and what it failed with, if it did."""
    printed = StringIO()
    try:
        call_command("check_phone_keys", stdout=printed, **options)
    except CommandError as error:
        return printed.getvalue(), str(error)
    return printed.getvalue(), None


def keys():
    users = User.objects.values_list("phone_number", "phone_key")
    patients = Patient.objects.values_list("contact_number", "contact_key")
    return {*users, *patients}


def test_keys_that_belong_to_their_numbers_are_no_news():
    UserFactory(phone_number="0244123456")
    PatientFactory(contact_number="0244123456")
    PatientFactory()
    for mend in (False, True):
        printed, error = check(mend=mend)
        assert error is None
        assert "Every key belongs to its number." in printed


def test_stale_keys_are_named_by_id_and_mended_when_asked():
    user, patient = (
        UserFactory(phone_number="0244123456"),
        PatientFactory(contact_number="0244123456"),
    )
    PatientFactory(contact_number="0208123456")
    change_by_hand(user, "0209000111", "+233244123456")
    change_by_hand(patient, "0209000222", "+233244123456")

    printed, error = check()
    assert f"user {user.pk} has a stale key" in printed
    assert f"patient {patient.pk} has a stale key" in printed
    assert "0209000" not in printed
    assert "Stale keys: 2." in error

    assert check(mend=True)[1] is None
    assert keys() == {
        ("0209000111", "+233209000111"),
        ("0209000222", "+233209000222"),
        ("0208123456", "+233208123456"),
    }
    assert check()[1] is None


def test_keys_that_another_region_gave_are_mended(settings):
    settings.PHONE_DEFAULT_REGION = "NG"
    UserFactory(phone_number="0244123456")
    patients = [PatientFactory(contact_number=f"02441{n:05}") for n in range(3)]
    settings.PHONE_DEFAULT_REGION = "GH"
    assert "Stale keys: 4." in check()[1]
    printed, error = check(mend=True)
    assert error is None
    assert "patients: mended 3" in printed
    patients[0].refresh_from_db()
    assert patients[0].contact_key == "+233244100000"


def test_keys_that_were_taken_crosswise_are_mended():
    one, other = UserFactory(phone_number="0244123456"), UserFactory(phone_number="0209000111")
    change_by_hand(one, "0244123456", "aside")
    change_by_hand(other, "0209000111", "+233244123456")
    change_by_hand(one, "0244123456", "+233209000111")
    assert check(mend=True)[1] is None
    assert keys() == {("0244123456", "+233244123456"), ("0209000111", "+233209000111")}


def test_two_users_who_would_be_one_are_left_and_named():
    one, other = UserFactory(phone_number="0244123456"), UserFactory(phone_number="0209000111")
    third = UserFactory(phone_number="0208123456")
    change_by_hand(other, "+233244123456", "+233209000111")
    change_by_hand(third, "0208123457", "+233208123456")
    for _ in range(2):
        printed, error = check(mend=True)
        named = sorted([str(one.pk), str(other.pk)])
        assert f"users with one number, who would be one: {', '.join(named)}" in printed
        assert "Stale keys: 1." in error
    third.refresh_from_db()
    assert third.phone_key == "+233208123457"


def test_two_patients_of_one_number_are_two():
    mother, child = (PatientFactory(contact_number=f"024412345{n}") for n in (6, 7))
    change_by_hand(child, "0244123456", "+233244123457")
    assert check(mend=True)[1] is None
    assert Patient.objects.filter(contact_key="+233244123456").count() == 2
    assert mother != child
