"""A referral can be cancelled, with a reason. Another migration looks at the rows that are there."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

STATUSES = [
    ("Pending", "Pending"),
    ("Received", "Received"),
    ("Completed", "Completed"),
    ("Cancelled", "Cancelled"),
]
REASONS = [
    ("ordered_in_error", "Ordered in error"),
    ("duplicate", "Duplicate"),
    ("patient_declined", "Patient declined"),
    ("no_longer_needed", "No longer needed"),
    ("other", "Other"),
]

# That the status changed, when and by whom is recorded like any other change of it.
RECORD_REASON = """
CREATE TRIGGER record_closing AFTER UPDATE OF closing_code, closing_note ON public.medics_referral
    FOR EACH ROW WHEN (
        OLD.closing_code IS DISTINCT FROM NEW.closing_code
        OR OLD.closing_note IS DISTINCT FROM NEW.closing_note
    )
    EXECUTE FUNCTION public.medics_record_change(
        'medics_referral', 'id', '{closing_code,closing_note}'
    );
"""


def status(**options):
    return models.CharField(choices=STATUSES, max_length=10, **options)


class Migration(migrations.Migration):
    dependencies = [("medics", "0013_one_facility_for_administrators")]

    operations = [
        migrations.AlterModelOptions(
            name="referral",
            options={"permissions": [("cancel_referrals", "Can cancel what an account referred")]},
        ),
        migrations.AddField(
            model_name="referral",
            name="closed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="referral",
            name="closing_code",
            field=models.CharField(
                blank=True, choices=REASONS, db_default="", max_length=20, verbose_name="reason"
            ),
        ),
        migrations.AddField(
            model_name="referral",
            name="closing_note",
            field=models.CharField(blank=True, db_default="", max_length=500, verbose_name="note"),
        ),
        migrations.AlterField("referral", "status", status(default="Pending")),
        migrations.AlterField("referralcount", "status", status()),
        migrations.AlterField("statuschange", "from_status", status()),
        migrations.AlterField("statuschange", "to_status", status()),
        migrations.RemoveConstraint("referral", "referral_status_is_known"),
        AddConstraintNotValid(
            "referral",
            models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["Pending", "Received", "Completed", "Cancelled"])
                ),
                name="referral_status_is_known",
            ),
        ),
        AddConstraintNotValid(
            "referral",
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("closed_at__isnull", False),
                        ("closing_code__in", [code for code, _ in REASONS]),
                        ("status", "Cancelled"),
                        models.Q(
                            models.Q(("closing_code", "other"), _negated=True),
                            models.Q(("closing_note", ""), _negated=True),
                            _connector="OR",
                        ),
                    ),
                    models.Q(
                        models.Q(("status", "Cancelled"), _negated=True),
                        ("closed_at__isnull", True),
                        ("closing_code", ""),
                        ("closing_note", ""),
                    ),
                    _connector="OR",
                ),
                name="referral_closed_with_a_reason_exactly_when_cancelled",
            ),
        ),
        migrations.RunSQL(RECORD_REASON, "DROP TRIGGER record_closing ON public.medics_referral;"),
    ]
