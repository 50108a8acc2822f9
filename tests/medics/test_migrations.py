"""A database that is in use is brought up to date, and back, with its rows."""

from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connection

from medics.models import Change, FacilityBranch, Patient, Referral, ReferralCount
from medics.models.catalogue import catalogue_version

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_lists_read_is_filled_in_for_the_rows_that_are_there(referral):
    call_command("migrate", "medics", "0002", verbosity=0)
    try:
        call_command("migrate", "medics", verbosity=0)
    finally:
        call_command("migrate", verbosity=0)

    assert sum(ReferralCount.objects.values_list("number", flat=True)) == 2
    found = Referral.objects.get()
    assert found.patient_name_or_id == "Akosua Mensah"
    assert found.patient_name_folded == "akosua mensah"
    assert found.test_ids == sorted(referral.tests.values_list("test_id", flat=True))
    referral.facility_branch.save()
    assert catalogue_version() != "0"


def test_referrals_get_their_patients_names_and_names_that_become_one_are_told_apart(
    referral, laboratory
):
    call_command("migrate", "medics", "0008", verbosity=0)
    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE medics_patient SET full_name_or_id = 'Akosua  MENSAH'")
            for name in ("Caf\u00e9", "CAFE\u0301"):
                cursor.execute(
                    "INSERT INTO medics_facilitybranch (facility_id, name, is_active, created_at)"
                    " VALUES (%s, %s, true, now())",
                    [laboratory.pk, name],
                )
    finally:
        call_command("migrate", verbosity=0)

    found = Referral.objects.get()
    assert (found.patient_name_or_id, found.patient_name_folded) == (
        "Akosua  MENSAH",
        "akosua  mensah",
    )
    told = Change.objects.filter(row_table="medics_referral", new__has_key="patient_name_or_id")
    assert not told.exists()
    assert Patient.objects.get().also_named == ""
    # From then on it is told.
    Referral.objects.update(patient_name_or_id="Akosua Addo")
    assert told.get().new == {"patient_name_or_id": "Akosua Addo"}
    later = FacilityBranch.objects.latest("id")
    assert set(FacilityBranch.objects.values_list("name", flat=True)) == {
        *("Osu", "Caf\u00e9", f"CAFE\u0301 ({later.pk})")
    }


def test_unique_names_can_be_made_anew_where_that_was_interrupted_before():
    names = import_module("medics.migrations.0010_names_are_filled_in")
    index = "unique_branch_name_in_facility"
    of_names = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'unique_branch_name%'"
    with connection.cursor() as cursor:
        # The former index is dropped, and the new one has not got its name yet.
        cursor.execute(f"ALTER INDEX {index} RENAME TO {index}_anew")
        for statement in names.unique_names("medics_facilitybranch", "facility_id", index):
            cursor.execute(statement)
        cursor.execute(of_names)
        assert cursor.fetchall() == [(index,)]
