"""What the predecessor's database has to be, and that nothing of its URL is shown."""

import pytest
from django.db import connection

from takeover.source import SourceError, snapshot
from takeover.tables import TABLE

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "The URL is not of the form postgres://user:password@host:5432/name."),
        ("host=db password=S3cret", "The URL is not of the form"),
        ("postgres://ama:S3cr%et@127.0.0.1/x", "the URL cannot be read"),
        ("postgres://ama:S3cret@127.0.0.1:1/x", "Connection refused"),
        ("postgres://ama:word@S3cret@127.0.0.1/x", "could not translate host name …"),
    ],
)
def test_where_it_cannot_be_reached_its_password_is_not_shown(import_predecessor, url, why):
    result = import_predecessor(url=url)

    assert why in result.error
    assert "S3cr" not in result.error + result.printed


def test_another_database_is_refused(predecessor, import_predecessor):
    predecessor.execute('ALTER TABLE "Patient" RENAME COLUMN full_name_or_id TO name')
    try:
        result = import_predecessor()
    finally:
        predecessor.execute('ALTER TABLE "Patient" RENAME COLUMN name TO full_name_or_id')

    assert "Not found: Patient.full_name_or_id." in result.error


def test_it_is_one_moment_that_is_read(working):
    with snapshot(working.predecessor.url) as source:
        before = source.counts()
        working.predecessor.add("Patient", full_name_or_id="Came later")

        assert source.counts() == before


def test_nothing_can_be_written_to_it(working):
    with (
        snapshot(working.predecessor.url) as source,
        pytest.raises(Exception, match="read-only transaction"),
    ):
        source.query("""DELETE FROM "ReferralTest" """)


def test_a_table_that_ends_too_early_is_no_table(working):
    def lose_the_connection():
        working.predecessor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'tetradx import_predecessor'"
            # Tests that run at the same time have databases of their own.
            " AND datname = current_database()"
        )

    many = 'INSERT INTO "Patient" SELECT n, NULL, now(), md5(n::text) FROM generate_series(1, %s) n'
    working.predecessor.execute("""DELETE FROM "ReferralTest" """)
    working.predecessor.execute("""DELETE FROM "Referral" """)
    working.predecessor.execute("""DELETE FROM "Patient" """)
    working.predecessor.execute(many, [50_000])
    rows = []

    def on_row():
        rows.append(1)
        if len(rows) == 1:
            lose_the_connection()

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE predecessor_patient"
            " (id bigint, contact_number text, created_at timestamptz, full_name_or_id text)"
            " ON COMMIT DROP"
        )
        with (
            snapshot(working.predecessor.url) as source,
            pytest.raises(SourceError, match="The predecessor's Patient: "),
        ):
            source.copy(TABLE["Patient"], cursor, on_row)
