import os
import runpy
import shlex

import pytest
from django.conf import settings
from django.db import connection

SCRIPTS = settings.BASE_DIR / "scripts"


@pytest.fixture
def programs(monkeypatch):
    """The folder of PostgreSQL's programs."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return runpy.run_path(str(SCRIPTS / "embedded_postgres.py"))["programs"]()


@pytest.fixture
def at_server(programs):
    """What puts PostgreSQL's programs on the test's database, as TETRADX_DB_EXEC has it."""
    database = connection.settings_dict
    variables = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": database["HOST"] or database["OPTIONS"].get("host", ""),
        "PGPORT": str(database["PORT"] or database["OPTIONS"].get("port", "")),
        "PGPASSWORD": database["PASSWORD"],
        "POSTGRES_USER": database["USER"],
        "POSTGRES_DB": database["NAME"],
    }
    return shlex.join(["env", *(f"{name}={value}" for name, value in variables.items() if value)])


@pytest.fixture
def beside():
    """Names the databases that were made beside the test's; they are dropped afterwards."""

    def beside():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datname ~ %s",
                [f"^{connection.settings_dict['NAME']}_(check|restored|before)_"],
            )
            return [name for (name,) in cursor]

    yield beside
    # A restore has cut it off.
    connection.close()
    for name in beside():
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
