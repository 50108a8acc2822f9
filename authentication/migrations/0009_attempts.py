"""Renames the model alone: the version before counts attempts in the table by its name."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("authentication", "0008_older_hashes")]

    operations = [
        migrations.AlterModelTable("try", "authentication_try"),
        migrations.AlterModelOptions("try", {}),
        migrations.RenameModel("Try", "Attempt"),
    ]
