from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("medics", "0015_staff_permissions")]

    operations = [
        ValidateConstraint("referral", "referral_status_is_known"),
        ValidateConstraint("referral", "referral_closed_with_a_reason_exactly_when_cancelled"),
    ]
