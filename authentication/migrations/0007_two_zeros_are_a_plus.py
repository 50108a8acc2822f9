"""Gives the users whose number begins with 00 the key by which a login finds them from now on."""

from django.db import migrations

from authentication.phone_numbers import phone_key


def renew_keys(apps, schema_editor):
    """Where another user has that key already, the one with 00 keeps the old key: two people must
    not become one, and an operator can give either another number."""
    users = apps.get_model("authentication", "User").objects.using(schema_editor.connection.alias)
    for user in users.filter(phone_number__startswith="00").only("phone_number", "phone_key"):
        key = phone_key(user.phone_number)
        if key != user.phone_key and not users.filter(phone_key=key).exists():
            users.filter(pk=user.pk).update(phone_key=key)


class Migration(migrations.Migration):
    dependencies = [("authentication", "0006_functions_name_their_schemas")]

    operations = [
        migrations.RunPython(renew_keys, migrations.RunPython.noop, elidable=True),
    ]
