from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    help = (
        "Has the database itself give each new session of this role the time limits that the "
        "service otherwise asks for when it connects. For PgBouncer, which passes none on."
    )

    def handle(self, *args, **options):
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_database()")
            role, database = map(connection.ops.quote_name, cursor.fetchone())
            for name, value in settings.DB_SESSION_SETTINGS.items():
                cursor.execute(f"ALTER ROLE {role} IN DATABASE {database} SET {name} = %s", [value])
                self.stdout.write(f"{name} = {value}")
