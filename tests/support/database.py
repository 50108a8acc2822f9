"""The database of the test's own process: its URL, and names of roles beside it."""

from urllib.parse import quote

from django.db import connection


def database_url() -> str:
    """Of the database that this test uses."""
    database = connection.settings_dict
    password = database["PASSWORD"]
    login = quote(database["USER"], safe="") + (f":{quote(password, safe='')}" if password else "")
    port = f":{database['PORT']}" if database["PORT"] else ""
    host = database["HOST"] or database["OPTIONS"].get("host", "")
    return f"postgres://{login}@{quote(host, safe='')}{port}/{database['NAME']}"


def own_role(name: str) -> str:
    """A role's name, quoted, that no test which runs beside this one has.

    Roles are the whole server's, and each process of the tests has a database of its own there.
    """
    return connection.ops.quote_name(f"{connection.settings_dict['NAME']}_{name}")
