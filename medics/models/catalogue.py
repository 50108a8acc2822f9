from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from _tetradx.db.compiled_queries import rows_of
from _tetradx.values.folding import Fold
from _tetradx.values.names import NameField
from _tetradx.values.numbers import DecimalColumn

from .facility import Facility


class TestType(models.Model):
    """A group of tests that a facility offers, such as HAEMATOLOGY."""

    __test__ = False  # not pytest's

    facility = models.ForeignKey(Facility, on_delete=models.PROTECT, related_name="test_types")
    name = NameField(max_length=255)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "facility",
                Fold("name"),
                name="unique_test_type_name_in_facility",
                violation_error_message=(
                    "A test type with this name already exists for this facility."
                ),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Test(models.Model):
    __test__ = False  # not pytest's

    test_type = models.ForeignKey(TestType, on_delete=models.PROTECT, related_name="tests")
    name = NameField(max_length=255)
    description = models.TextField(blank=True)
    price = DecimalColumn(
        "price in cedis",
        max_digits=10,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "test_type",
                Fold("name"),
                name="unique_test_name_in_type",
                violation_error_message="A test with this name already exists in this type.",
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="price_is_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name


class CatalogueChange(models.Model):
    """A change of facilities, branches, test types or tests, so that caches know of it.

    Triggers (migration 0005) add a row for each changing statement and now and then fold the rows
    into one; none is updated, so that changes do not wait for each other.
    """

    number = models.IntegerField()
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.number} at {self.changed_at}"


def catalogue_version() -> str:
    """Another one after each change that is committed, whatever process made it."""
    # The time tells versions apart that have one number on both sides of a restored backup.
    [(number, changed_at)] = rows_of(
        "SELECT sum(number), max(changed_at) FROM medics_cataloguechange", {}
    )
    return f"{number}-{changed_at.timestamp():.6f}" if changed_at else "0"
