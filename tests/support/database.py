"""The test's own database: SQL on it, its URL, and roles of its server."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.db import connection


def execute(sql: str, values: Sequence[Any] | None = None) -> list[tuple]:
    """Run the statement; return its rows, none where it gives none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def database_url() -> str:
    """Return the URL of the test's own database."""
    database = connection.settings_dict
    password = database["PASSWORD"]
    login = quote(database["USER"], safe="") + (f":{quote(password, safe='')}" if password else "")
    port = f":{database['PORT']}" if database["PORT"] else ""
    host = database["HOST"] or database["OPTIONS"].get("host", "")
    return f"postgres://{login}@{quote(host, safe='')}{port}/{database['NAME']}"


def own_role(name: str) -> str:
    """Return a role's name, quoted, that no other process of the tests uses.

    Roles belong to the whole server, on which each process of the tests has a database.
    """
    return connection.ops.quote_name(f"{connection.settings_dict['NAME']}_{name}")
