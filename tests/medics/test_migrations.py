"""A database that is in use is brought up to date, and back, with its rows."""

import pytest
from django.core.management import call_command

from medics.models import Referral, ReferralCount
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
    assert found.patient_name_upper == "AKOSUA MENSAH"
    assert found.test_ids == sorted(referral.tests.values_list("test_id", flat=True))
    referral.facility_branch.save()
    assert catalogue_version() != "0"
