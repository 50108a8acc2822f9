import logging
from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from .models import HistoryEntry, Patient, Referral

log = logging.getLogger("tetradx.access")


def log_reading(
    request: Any, *, referrals: Sequence[str] = (), patients: Sequence[int | str] = ()
) -> None:
    """Writes down that the request's user was shown the data of these; asks the database nothing.

    No line where nothing was shown. LOGGING_GUIDE.md says what stands in one.
    """
    if referrals or patients:
        fields = {
            "user_id": str(request.user.pk),
            "route": request.resolver_match.view_name,
            "referrals": referrals,
            "patients": patients,
        }
        log.info("read", extra={"fields": fields})


def log_reading_of(request: Any, rows: Sequence[Model]) -> None:
    """The same for rows of any model, of which some are patients' data or tell of it."""
    subjects = [
        (row.subject_table, row.subject_id)
        if isinstance(row, HistoryEntry)
        else (row._meta.db_table, row.pk)
        for row in rows
    ]
    log_reading(
        request,
        referrals=ids_in(Referral, subjects),
        patients=ids_in(Patient, subjects),
    )


def ids_in(model: type[Model], subjects: list[tuple[str, Any]]) -> list[Any]:
    """Each once, in their order."""
    return list(dict.fromkeys(pk for table, pk in subjects if table == model._meta.db_table))
