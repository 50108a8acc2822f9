from typing import Self, TypeVar

from django.db import models
from django.utils import timezone

Row = TypeVar("Row", bound=models.Model, covariant=True)


class ExpiringQuerySet(models.QuerySet[Row]):
    """Rows that expire. The command `purge_expired` deletes those of every model that has this."""

    def expired(self) -> Self:
        """Rows that are no longer needed: here, those whose `expires_at` has passed."""
        return self.filter(expires_at__lt=timezone.now())
