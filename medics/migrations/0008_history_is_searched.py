"""The history of statuses in the order of time, and by request, beside that of everything else."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("medics", "0007_history")]

    operations = [
        AddIndexConcurrently(
            model_name="statuschange",
            index=models.Index(fields=["changed_at"], name="status_changes_in_time"),
        ),
        AddIndexConcurrently(
            model_name="statuschange",
            index=models.Index(
                condition=models.Q(("request_id", ""), _negated=True),
                fields=["request_id"],
                name="status_changes_by_request",
            ),
        ),
    ]
