"""What the predecessor's database has to be, and that nothing of its URL is shown."""

import pytest

from takeover.source import snapshot

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
