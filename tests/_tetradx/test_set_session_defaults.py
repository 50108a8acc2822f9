import psycopg2
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def role_is_as_before():
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        role, database = map(connection.ops.quote_name, cursor.fetchone())
        cursor.execute(f"ALTER ROLE {role} IN DATABASE {database} RESET ALL")


@pytest.mark.usefixtures("role_is_as_before")
def test_sessions_that_ask_for_nothing_get_the_time_limits(capsys):
    call_command("set_session_defaults")

    parameters = {**connection.get_connection_params()}
    del parameters["options"]
    plain = psycopg2.connect(**parameters)
    cursor = plain.cursor()
    found = {}
    for name in settings.DB_SESSION_SETTINGS:
        cursor.execute("SELECT setting FROM pg_settings WHERE name = %s", [name])
        [found[name]] = cursor.fetchone()
    plain.close()
    assert found == {name: str(value) for name, value in settings.DB_SESSION_SETTINGS.items()}
    assert "statement_timeout = 30000" in capsys.readouterr().out
