"""Who changed what, when and by which request: written by triggers (migration 0007), never changed.

Changes of a status are `StatusChange`; `HistoryEntry` shows both as one.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q


class Action(models.TextChoices):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    # By the commands export_patient and apply_retention, which write these lines themselves.
    EXPORTED = "exported"
    REMOVED = "removed"


class HistoryFields(models.Model):
    """`old` and `new` hold the columns that changed, `new` alone those of a row that was made,
    `old` those of one that is gone; of a password they say that it was changed."""

    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # The history outlives whatever it tells of.
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        null=True,
        help_text="Empty where nobody was signed in.",
    )
    request_id = models.CharField(
        max_length=128,
        db_default="",
        help_text="The request's, or the command; empty where it was neither.",
    )
    action = models.CharField(max_length=10, choices=Action)
    row_table = models.CharField(max_length=63)
    row_id = models.CharField(max_length=40)
    # What the row belongs to, on whose page of the admin site the change is shown.
    subject_table = models.CharField(max_length=63)
    subject_id = models.CharField(max_length=40)
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.row_table} {self.row_id} {self.action}"


class Change(HistoryFields):
    class Meta:
        indexes = [
            models.Index(fields=["changed_at"], name="changes_in_time"),
            models.Index(fields=["subject_id", "subject_table"], name="changes_of_subject"),
            # For whoever came to administer a facility, or ceased to.
            models.Index(
                fields=["row_id"],
                condition=Q(row_table="medics_facility"),
                name="changes_of_facilities",
            ),
            models.Index(
                fields=["changed_by"],
                condition=Q(changed_by__isnull=False),
                name="changes_by_user",
            ),
            models.Index(
                fields=["request_id"], condition=~Q(request_id=""), name="changes_by_request"
            ),
        ]


class HistoryEntry(HistoryFields):
    """A change of any kind, out of a view over `Change` and `StatusChange`."""

    id = models.CharField(primary_key=True, max_length=21)

    class Meta:
        managed = False
        db_table = "medics_history"
        verbose_name = "change"
        verbose_name_plural = "history"
