from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Func, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from _tetradx.derived import DerivedCharField, DerivesColumns, DerivesColumnsQuerySet
from authentication.phone_numbers import phone_key

if TYPE_CHECKING:
    from authentication.models import User


def name_key(text: Combinable) -> Lower:
    """The patient's name or id, case and spacing aside."""
    return Lower(Func(text, Value(r"\s+"), Value(""), Value("g"), function="regexp_replace"))


def is_identifier(text: str) -> bool:
    return any(character.isdigit() for character in text)


class PatientQuerySet(DerivesColumnsQuerySet["Patient"]):
    def same_as(
        self, *, full_name_or_id: str, contact_number: str, practitioner: "User"
    ) -> "PatientQuerySet":
        """The patients that these particulars mean, when this practitioner gives them.

        The contract's rule: the same text and the same contact number (none is never the same
        as none); or the same identifier, named by the same practitioner before.
        """
        same_text = self.filter(name_key=name_key(Value(full_name_or_id)))
        same_person: Any = models.Q(pk=None)
        if contact_number:
            same_person |= models.Q(contact_key=phone_key(contact_number))
        if is_identifier(full_name_or_id):
            named_before = practitioner.referrals.filter(patient=models.OuterRef("pk"))
            same_person |= models.Exists(named_before)
        return same_text.filter(same_person)

    def equal_to(self, patient: "Patient") -> "PatientQuerySet":
        """The others that one referral could mean as well as this patient, by the same rule."""
        same_text = self.filter(name_key=name_key(Value(patient.full_name_or_id)))
        same_person: Any = models.Q(pk=None)
        if patient.contact_number:
            same_person |= models.Q(contact_key=phone_key(patient.contact_number))
        if is_identifier(patient.full_name_or_id):
            practitioners = patient.referrals.values("referred_by")
            named = patient.referrals.model.objects.filter(
                patient=models.OuterRef("pk"), referred_by__in=practitioners
            )
            same_person |= models.Exists(named)
        return same_text.filter(same_person).exclude(pk=patient.pk)


class Patient(DerivesColumns):
    full_name_or_id = models.CharField("name or id", max_length=255)
    contact_number = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # One look-up in an index decides whether a patient is known. A number is empty where there is
    # none.
    name_key = models.GeneratedField(
        expression=name_key(models.F("full_name_or_id")),
        output_field=models.CharField(max_length=255),
        db_persist=True,
    )
    contact_key = DerivedCharField(
        max_length=16, blank=True, source="contact_number", derive=phone_key
    )

    # By the referral's foreign key.
    referrals: Any

    objects = PatientQuerySet.as_manager()

    class Meta:
        permissions: ClassVar = [("correct_patient", "Can correct patients")]
        indexes = [
            models.Index(fields=["name_key", "contact_key"], name="patient_keys"),
            GinIndex(
                OpClass(Upper("full_name_or_id"), name="gin_trgm_ops"), name="patient_name_trigrams"
            ),
        ]

    def __str__(self) -> str:
        return self.full_name_or_id
