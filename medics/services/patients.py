from django.db import connection, transaction

from authentication.models import User

from ..models import Patient


@transaction.atomic(savepoint=False)
def find_or_create_patient(
    *, full_name_or_id: str, contact_number: str, practitioner: User
) -> Patient:
    """The patient whom these particulars mean, as already stored, else a new one.

    Two requests that name one patient wait for each other, so that they do not make two.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(tetradx_name_key(%s), 0))",
            [full_name_or_id],
        )
    known = Patient.objects.same_as(
        full_name_or_id=full_name_or_id, contact_number=contact_number, practitioner=practitioner
    )
    return known.order_by("id").first() or Patient.objects.create(
        full_name_or_id=full_name_or_id, contact_number=contact_number
    )
