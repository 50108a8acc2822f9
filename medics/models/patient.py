from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Value
from django.utils import timezone

from _tetradx.db.fields import DerivedCharField, DerivesColumns, DerivesColumnsQuerySet
from _tetradx.values.folding import NameKey, NamesKey, name_key
from _tetradx.values.names import NameField
from authentication.phone_numbers import phone_key

if TYPE_CHECKING:
    from authentication.models import User


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
        same_person: Any = models.Q(pk=None)
        if contact_number:
            same_person |= models.Q(contact_key=phone_key(contact_number))
        if is_identifier(full_name_or_id):
            named_before = practitioner.referrals.filter(patient=models.OuterRef("pk"))
            same_person |= models.Exists(named_before)
        return self.named(full_name_or_id).filter(same_person)

    def equal_to(self, patient: "Patient") -> "PatientQuerySet":
        """The others that one referral could mean as well as this patient, by the same rule."""
        same_person: Any = models.Q(pk=None)
        if patient.contact_number:
            same_person |= models.Q(contact_key=phone_key(patient.contact_number))
        if is_identifier(patient.full_name_or_id):
            practitioners = patient.referrals.values("referred_by")
            named = patient.referrals.model.objects.filter(
                patient=models.OuterRef("pk"), referred_by__in=practitioners
            )
            same_person |= models.Exists(named)
        return self.named(patient.full_name_or_id).filter(same_person).exclude(pk=patient.pk)

    def named(self, text: str) -> "PatientQuerySet":
        """Those of this name or id, case and spacing aside."""
        return self.alias(key=NameKey("full_name_or_id")).filter(key=NameKey(Value(text)))

    def named_like(self, text: str) -> "PatientQuerySet":
        """Where the text occurs in a name or id, case and spacing aside, that the patient has or
        had, or that a referral has for the patient."""
        names = NamesKey("full_name_or_id", "also_named")
        return self.alias(names=names).filter(names__contains=name_key(text))


class Patient(DerivesColumns):
    full_name_or_id = NameField("name or id", max_length=255)
    contact_number = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # Kept by triggers (migration 0009) for the search, which looks for patients first: what else
    # the patient, or a referral of hers, was called, each after a separator.
    also_named = models.TextField(db_default="", editable=False)

    # Empty where there is no number.
    contact_key = DerivedCharField(
        max_length=16, blank=True, source="contact_number", derive=phone_key
    )

    # By the referral's foreign key.
    referrals: Any

    objects = PatientQuerySet.as_manager()

    class Meta:
        permissions: ClassVar = [("correct_patient", "Can correct patients")]
        indexes = [
            # One look-up decides whether a patient is known.
            models.Index(NameKey("full_name_or_id"), "contact_key", name="patients_by_key"),
            GinIndex(
                OpClass(NamesKey("full_name_or_id", "also_named"), name="gin_trgm_ops"),
                name="patient_names_trigrams",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name_or_id
