from django.core.management.base import BaseCommand
from django.db import connection

from _tetradx.text_table import in_columns

CONNECTIONS = """
    SELECT application_name, coalesce(state, '?'),
        CASE state WHEN 'active' THEN wait_event_type END, count(*),
        round(max(extract(epoch FROM clock_timestamp() - state_change))),
        round(max(extract(epoch FROM clock_timestamp() - xact_start)))
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

# Connections to other databases share the server's limit. The command's own is about to be closed.
USED = """
    SELECT count(*), current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Command(BaseCommand):
    help = (
        "Shows who is connected to the database, by application, state and what is waited for "
        "(pg_stat_activity), for how many seconds at most in that state and in a transaction, and "
        "how much of the server's limit is used."
    )

    def handle(self, *args, **options):
        with connection.cursor() as cursor:
            cursor.execute(CONNECTIONS)
            rows = cursor.fetchall()
            cursor.execute(USED)
            used, limit = cursor.fetchone()
        heads = ["application", "state", "waits for", "number", "seconds", "in transaction"]
        self.stdout.write(in_columns(heads, rows))
        self.stdout.write(f"{used} of {limit} connections of the server are in use.")
