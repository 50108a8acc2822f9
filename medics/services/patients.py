from django.db import connection, transaction

from authentication.models import User
from authentication.phone_numbers import clean_phone_number, validate_phone_number

from ..models import Patient


@transaction.atomic(savepoint=False)
def find_or_create_patient(
    *, full_name_or_id: str, contact_number: str, practitioner: User
) -> Patient:
    """The patient whom these particulars mean, as already stored, else a new one.

    Two requests that name one patient wait for each other, so that they do not make two.
    """
    lock_name(full_name_or_id)
    known = Patient.objects.same_as(
        full_name_or_id=full_name_or_id, contact_number=contact_number, practitioner=practitioner
    )
    return known.order_by("id").first() or Patient.objects.create(
        full_name_or_id=full_name_or_id, contact_number=contact_number
    )


def lock_name(full_name_or_id: str) -> None:
    """Makes whoever names, or renames, a patient so wait until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(tetradx_name_key(%s), 0))",
            [full_name_or_id],
        )


@transaction.atomic
def correct_patient(
    *, patient_id: int, full_name_or_id: str, contact_number: str, may_equal_another: bool = False
) -> Patient:
    """The patient as it then stands; the history keeps both.

    Raises Patient.DoesNotExist, ValidationError for particulars that none can have, and
    EqualsAnotherError where the corrected patient would be the same as another, unless that may be.
    """
    contact_number = clean_phone_number(contact_number)
    if contact_number:
        validate_phone_number(contact_number)
    lock_name(full_name_or_id)
    patient = Patient.objects.select_for_update().get(pk=patient_id)
    patient.full_name_or_id, patient.contact_number = full_name_or_id, contact_number
    patient.clean_fields()
    if not may_equal_another:
        refuse_equal(patient)
    patient.save(update_fields=["full_name_or_id", "contact_number"])
    return patient


class EqualsAnotherError(Exception):
    """Says which patients the corrected one would be the same as, by their ids alone."""


def refuse_equal(patient: Patient) -> None:
    """Raises EqualsAnotherError where another patient has these particulars."""
    others = list(Patient.objects.equal_to(patient).order_by("pk").values_list("pk", flat=True))
    if others:
        ids = ", ".join(map(str, others))
        raise EqualsAnotherError(
            f"Patient {ids} would be the same as this one, and what is referred from then on would"
            " go to the oldest of them."
        )
