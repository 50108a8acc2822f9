"""What the import did to a row stands in the history of the row."""

import pytest

from medics.models import Change

pytestmark = pytest.mark.django_db

BY = "manage.py import_predecessor"


def entries_of(table, row):
    found = Change.objects.filter(row_table=table, row_id=str(row))
    assert set(found.values_list("request_id", flat=True)) <= {BY}
    return list(found.order_by("id").values_list("action", "old", "new"))


def test_of_rows_that_are_as_they_were_it_says_nothing(working, import_predecessor):
    import_predecessor()

    assert not Change.objects.exists()


def test_a_mended_row_has_what_was_there_before_and_the_rule(working, import_predecessor):
    user = working.predecessor.add("User", phone_number="024-412-3456", user_type="PATIENT")

    import_predecessor()

    assert entries_of("authentication_user", user) == [
        (
            "changed",
            {"user_type": "PATIENT"},
            {"user_type": "Patient", "rule": "user_type_spelled_otherwise"},
        ),
        (
            "changed",
            {"phone_number": "024-412-3456"},
            {"phone_number": "0244123456", "rule": "phone_number_cleaned"},
        ),
    ]


def test_what_has_no_column_here_is_there(working, import_predecessor):
    user = working.predecessor.add("User", username="yaw", email="yaw@example.org")

    import_predecessor()

    assert entries_of("authentication_user", user) == [
        (
            "changed",
            {"username": "yaw", "first_name": "", "last_name": "", "email": "yaw@example.org"},
            {"rule": "user_columns_without_a_place"},
        )
    ]


def test_a_row_that_was_made_is_said_to_be(working, import_predecessor):
    assignment = working.predecessor.add(
        "Branch_Technician", user_id=None, branch_id=working.branch
    )

    import_predecessor()

    [made] = Change.objects.filter(action="created")
    assert made.row_table == made.subject_table == "authentication_user"
    assert made.new["rule"] == "stand_in_made"
    assert made.new["is_active"] is False
    assert "password" not in made.new
    [moved] = Change.objects.filter(row_table="medics_branchtechnician")
    assert moved.row_id == str(assignment)
    assert moved.subject_id == made.row_id
    assert (moved.old, moved.new["user_id"]) == ({"user_id": None}, made.row_id)


def test_a_test_within_a_referral_belongs_to_the_referrals_history(working, import_predecessor):
    working.predecessor.execute(
        """UPDATE "ReferralTest" SET status = 'COMPLETED' WHERE id = %s""", [working.tests[0]]
    )

    import_predecessor()

    entries = Change.objects.filter(
        subject_table="medics_referral", subject_id=working.referral
    ).order_by("id")
    assert [(entry.row_table, entry.row_id, entry.new["rule"]) for entry in entries] == [
        ("medics_referraltest", str(working.tests[0]), "referraltest_status_spelled_otherwise"),
        ("medics_referraltest", str(working.tests[0]), "referraltest_completed_at_missing"),
    ]
