from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from _tetradx.text_table import in_columns

ORDERS = {"total": "total_exec_time", "mean": "mean_exec_time", "calls": "calls"}

# In these statements PostgreSQL replaces values by $1. In others, such as ALTER ROLE … PASSWORD, it
# may keep them.
WITHOUT_VALUES = r"^\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH)\M"

STATEMENTS = """
    SELECT calls, round(total_exec_time::numeric / 1000, 2), round(mean_exec_time::numeric, 1),
        round(max_exec_time::numeric, 1), rows, regexp_replace(query, '\\s+', ' ', 'g')
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND query ~* %s
    ORDER BY {order} DESC LIMIT %s
"""


class Command(BaseCommand):
    help = (
        "Shows the statements that took the database the most time since the last --reset "
        "(pg_stat_statements), without their values."
    )

    def add_arguments(self, parser):
        parser.add_argument("--limit", type=int, default=20, help="How many (20).")
        parser.add_argument(
            "--by",
            choices=ORDERS,
            default="total",
            help="The most time in all (total), the most for each call (mean), or the most calls.",
        )
        parser.add_argument("--width", type=int, default=160, help="Of a statement (160).")
        parser.add_argument(
            "--install",
            action="store_true",
            help="Create the extension first, which takes a superuser of the database.",
        )
        parser.add_argument("--reset", action="store_true", help="Begin to count anew, and stop.")

    def handle(self, *args, limit, by, width, install, reset, **options):
        try:
            with connection.cursor() as cursor:
                if install:
                    cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
                if reset:
                    cursor.execute("SELECT pg_stat_statements_reset()")
                    return
                cursor.execute(STATEMENTS.format(order=ORDERS[by]), [WITHOUT_VALUES, limit])
                rows = cursor.fetchall()
        except DatabaseError as error:
            raise CommandError(explanation(error)) from None
        heads = ["calls", "seconds", "mean ms", "max ms", "rows", "statement"]
        self.stdout.write(in_columns(heads, [(*row[:-1], row[-1][:width]) for row in rows]))


def explanation(error: DatabaseError) -> str:
    match getattr(error.__cause__, "pgcode", None):
        case "42P01" | "42883":  # undefined_table, undefined_function
            return "The database lacks the extension pg_stat_statements: see --install."
        case "55000":  # object_not_in_prerequisite_state
            return (
                "The server counts no statements: it must be started with "
                "shared_preload_libraries=pg_stat_statements."
            )
    return str(error).strip()
