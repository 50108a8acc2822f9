"""Finds the costliest older hash by one step of an index that holds older hashes alone."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from authentication.managers import HAS_OLDER_HASH, ITERATIONS


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("authentication", "0008_known_addresses")]

    operations = [
        AddIndexConcurrently(
            "user", models.Index(ITERATIONS, name="older_hashes", condition=HAS_OLDER_HASH)
        ),
    ]
