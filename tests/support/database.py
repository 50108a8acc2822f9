from django.db import connection


def own_role(name: str) -> str:
    """A role's name, quoted, that no test which runs beside this one has.

    Roles are the whole server's, and each process of the tests has a database of its own there.
    """
    return connection.ops.quote_name(f"{connection.settings_dict['NAME']}_{name}")
