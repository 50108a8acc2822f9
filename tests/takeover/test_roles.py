"""Whoever owns the tables can take over, without being a superuser; the role that serves cannot."""

import pytest
from django.db import connection

from tests.support.database import own_role

pytestmark = pytest.mark.django_db

RIGHTS = """
    CREATE ROLE {role};
    GRANT USAGE, CREATE ON SCHEMA public TO {role};
    GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role};
"""


@pytest.fixture
def as_role():
    """Goes on as a role that may change all rows, until the test's transaction ends."""

    def as_role(*, owner):
        role = own_role("takeover")
        with connection.cursor() as cursor:
            cursor.execute(RIGHTS.format(role=role))
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in cursor.fetchall() if owner else ():
                cursor.execute(f"ALTER TABLE {table} OWNER TO {role}")
            cursor.execute(f"SET LOCAL ROLE {role}")

    return as_role


def test_the_owner_of_the_tables_takes_over(working, import_predecessor, as_role):
    as_role(owner=True)

    assert import_predecessor().error is None
    assert import_predecessor("--verify", keep_report=True).error is None


def test_the_role_that_serves_is_told_that_it_is_not_the_owner(
    working, import_predecessor, as_role
):
    as_role(owner=False)

    assert "Nothing was changed: must be owner of table" in import_predecessor().error
