"""--check says what an import would do, and changes nothing."""

import pytest
from django.core.management import call_command

from takeover.tables import TABLES
from tests.factories import PractitionerFactory

pytestmark = pytest.mark.django_db


def is_empty():
    return not any(table.model.objects.exists() for table in TABLES)


def test_it_lists_rules_and_rows_says_how_long_it_would_take_and_changes_nothing(
    working, import_predecessor
):
    user = working.predecessor.add("User", phone_number="hello55738")

    result = import_predecessor("--check")

    assert result.error is None
    assert is_empty()
    words = [line.split() for line in result.printed.splitlines()]
    assert ["User", "4"] in words
    assert ["phone_number_is_none", "User", "1", "kept,", "and", "still", "logs", "in"] in words
    assert "The import would take about" in result.printed
    assert "hello55738" not in result.printed
    assert [line["id"] for line in result.lines] == [user]


def test_it_fails_where_something_is_to_be_decided_and_names_the_option(
    working, import_predecessor
):
    working.predecessor.add("Facility", name="Second", admin_id=working.efua)

    result = import_predecessor("--check")

    assert result.error == (
        "To be decided before an import:\n"
        "administrator_of_two_facilities: 1. Which facility keeps the administrator whom several"
        " name. --administrator-of-two oldest|newest"
    )
    assert import_predecessor("--check", "--administrator-of-two=oldest").error is None
    assert is_empty()


def test_what_points_at_nothing_stops_it(working, import_predecessor):
    working.predecessor.execute('ALTER TABLE "ReferralTest" DISABLE TRIGGER ALL')
    working.predecessor.add("ReferralTest", referral_id=working.referral, test_id=999_999)

    working.predecessor.execute('ALTER TABLE "ReferralTest" ENABLE TRIGGER ALL')

    result = import_predecessor("--check")

    assert "referraltest_test_id_points_at_nothing: 1. To be mended in the predecessor" in (
        result.error
    )
    assert import_predecessor().error is not None
    assert is_empty()


def test_a_database_that_holds_rows_already_is_refused(working, import_predecessor):
    PractitionerFactory()

    assert "already holds users" in import_predecessor("--check").error


def test_without_a_named_report_it_writes_none(working, import_predecessor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    call_command("import_predecessor", "--check", verbosity=0)

    assert list(tmp_path.iterdir()) == []
