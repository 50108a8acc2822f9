from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("medics", "0014_cancelled_referrals")]

    operations = [
        migrations.AlterModelOptions(
            name="facility",
            options={
                "permissions": [
                    ("assign_staff", "Can give people a place of work"),
                    ("appoint_administrator", "Can have people administer a facility"),
                ],
                "verbose_name_plural": "facilities",
            },
        ),
    ]
