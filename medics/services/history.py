from django.db import connection

from authentication.models import User


def record_changes_as(user: User) -> None:
    """Names who makes the status changes of this transaction; a trigger writes their history."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('tetradx.user_id', %s, true)", [str(user.pk)])
