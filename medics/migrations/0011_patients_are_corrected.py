"""A patient's number is not changed without its key (authentication's 0005), and whoever corrects a
patient has a permission of its own."""

from importlib import import_module

from django.db import migrations

key_follows_number = import_module(
    "authentication.migrations.0005_key_follows_number"
).key_follows_number

UNDO = """
DROP TRIGGER key_follows_number_1_doubt ON medics_patient;
DROP TRIGGER key_follows_number_2_trust ON medics_patient;
DROP TRIGGER key_follows_number_3_refuse ON medics_patient;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("authentication", "0005_key_follows_number"),
        ("medics", "0010_names_are_filled_in"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="patient",
            options={"permissions": [("correct_patient", "Can correct patients")]},
        ),
        migrations.RunSQL(
            key_follows_number("medics_patient", "contact_number", "contact_key"), UNDO
        ),
    ]
