from django.db import migrations


class Migration(migrations.Migration):
    """Renames the class only: its table keeps its name, because the version before reads it."""

    dependencies = [("medics", "0017_cancelled_referrals_are_checked")]

    operations = [
        migrations.AlterModelTable("referralrequest", "medics_referralrequest"),
        migrations.RenameModel("ReferralRequest", "IdempotentRequest"),
        migrations.AlterModelOptions(
            "idempotentrequest", options={"verbose_name": "referral request"}
        ),
    ]
