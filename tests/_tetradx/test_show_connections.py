import psycopg2
import pytest
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db


@pytest.fixture
def another():
    """Makes a connection of the application of that name, beside the test's.

    A name is one test's: the server may still list what another has closed.
    """
    made = []

    def another(name):
        parameters = connection.get_connection_params()
        made.append(psycopg2.connect(**{**parameters, "application_name": name}))
        return made[-1]

    yield another
    for each in made:
        each.close()


def test_connections_are_counted_by_application_and_state(another, capsys):
    another("ward")
    another("ward")
    another("export").cursor().execute("SELECT 1")

    call_command("show_connections")

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "application state waits for number seconds in transaction"
    assert any(line.startswith("ward idle 2 ") for line in lines)
    assert any(line.startswith("export idle in transaction 1 ") for line in lines)


def test_the_servers_limit_is_told(another, capsys):
    call_command("show_connections")
    before = int(capsys.readouterr().out.splitlines()[-1].split()[0])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        [limit] = cursor.fetchone()

    assert 0 <= before < limit
    another("laboratory")
    call_command("show_connections")
    assert f"of {limit} connections of the server are in use." in capsys.readouterr().out


def test_what_a_connection_asks_is_not_shown(another, capsys):
    another("theatre").cursor().execute("SELECT 'Akosua Mensah'")

    call_command("show_connections")

    assert "Akosua" not in capsys.readouterr().out
