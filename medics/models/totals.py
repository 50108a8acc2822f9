from django.db import models
from django.db.models import Q

from ..choices import ReferralStatus


class ReferralCount(models.Model):
    """How many referrals a branch, or a practitioner, has in a status: the sum of its rows.

    Triggers on medics_referral (migration 0003) add a row for each change and never update one, so
    that writers at one branch do not wait for each other; now and then they fold a branch's rows
    into one for each status. A statement that sums them sees what count(*) would see.
    """

    branch_id = models.BigIntegerField(null=True)
    practitioner_id = models.UUIDField(null=True)
    status = models.CharField(max_length=10, choices=ReferralStatus)
    number = models.IntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(branch_id__isnull=False, practitioner_id__isnull=True)
                | Q(branch_id__isnull=True, practitioner_id__isnull=False),
                name="count_of_a_branch_or_a_practitioner",
            )
        ]
        indexes = [
            models.Index(
                fields=["branch_id"],
                include=["status", "number"],
                condition=Q(branch_id__isnull=False),
                name="count_of_branch",
            ),
            models.Index(
                fields=["practitioner_id"],
                include=["status", "number"],
                condition=Q(practitioner_id__isnull=False),
                name="count_of_practitioner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.status}"
