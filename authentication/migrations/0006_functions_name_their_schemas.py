"""Functions look for tables, types and operators in named schemas, the temporary one last.

Else whoever may make temporary tables could put one in the place of ours.
"""

from django.db import migrations

FUNCTIONS = (
    "authentication_end_sessions()",
    "authentication_take_a_try(text[], int[], int[], int[], int[])",
    "authentication_give_a_try_back(text[])",
)


def each(change: str) -> str:
    return "\n".join(f"ALTER FUNCTION {function} {change};" for function in FUNCTIONS)


class Migration(migrations.Migration):
    dependencies = [("authentication", "0005_key_follows_number")]

    operations = [
        migrations.RunSQL(
            each("SET search_path = pg_catalog, public, pg_temp"), each("RESET search_path")
        )
    ]
