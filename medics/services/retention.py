"""What is held about a patient: all of it together, and for how long."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from _tetradx.db.compiled_queries import rows_of

from ..models import (
    Action,
    Change,
    HistoryEntry,
    Patient,
    Referral,
    ReferralRequest,
    ReferralTest,
    StatusChange,
)
from .history import forgetting, write_down

PATIENT, REFERRAL = Patient._meta.db_table, Referral._meta.db_table


def all_about(patient: Patient) -> dict[str, Any]:
    """All that the database holds about the patient; values as Python has them."""
    referrals = patient.referrals.with_details().order_by("referred_at", "id")
    ids = [referral.pk for referral in referrals]
    told = Q(subject_table=PATIENT, subject_id=str(patient.pk))
    told |= Q(subject_table=REFERRAL, subject_id__in=ids)
    entries = HistoryEntry.objects.filter(told).select_related("changed_by")
    kept = ReferralRequest.objects.filter(referral__in=ids).order_by("id")
    return {
        "patient": columns_of(patient),
        "referrals": [
            {
                **columns_of(referral),
                "facility": referral.facility_branch.facility.name,
                "branch": referral.facility_branch.name,
                "referred_by": str(referral.referred_by),
                "tests": [
                    {
                        **columns_of(test),
                        "name": test.test.name,
                        "type": test.test.test_type.name,
                    }
                    for test in referral.tests.all()
                ],
            }
            for referral in referrals
        ],
        "history": [
            {**columns_of(entry), "changed_by": entry.changed_by and str(entry.changed_by)}
            for entry in entries.order_by("changed_at", "id")
        ],
        # Until purge_expired removes them.
        "answers_kept_for_repeated_requests": [columns_of(request) for request in kept],
    }


def columns_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


class Removed(NamedTuple):
    patients: int
    referrals: int


def expired_patients(completed_before: datetime) -> QuerySet[Patient]:
    """Those whose every referral was completed, or else closed, before that moment.

    Of those without a referral, who were made before.
    """
    of_patient = Referral.objects.filter(patient=OuterRef("pk"))
    closed = of_patient.annotate(closed=Coalesce("completed_at", "closed_at"))
    needed = closed.filter(Q(closed__isnull=True) | Q(closed__gte=completed_before))
    return Patient.objects.filter(~Exists(needed), created_at__lt=completed_before)


def remove_expired(
    *, completed_before: datetime, batch_size: int, run_by: str
) -> Iterator[Removed]:
    """Removes the expired patients with all that is held about them, batch by batch.

    Each batch is a transaction of its own, all or nothing, with a line in the history of how many
    they were. Raises PermissionError where the role of the database does not own the history.
    """
    after = 0
    with forgetting():
        if rows_of("SELECT medics_may_forget('medics_change'::regclass)", {}) != [(True,)]:
            raise PermissionError(
                "This role of the database may not remove what the history holds. "
                "Run it as the role that owns the tables, which also migrates."
            )
    while True:
        with forgetting():
            expired = expired_patients(completed_before).filter(pk__gt=after).order_by("pk")
            candidates = list(
                expired.select_for_update(of=("self",), skip_locked=True).values_list(
                    "pk", flat=True
                )[:batch_size]
            )
            if not candidates:
                return
            after = candidates[-1]
            # Asked again now that nobody can refer them meanwhile: a referral that was committed
            # between the look and the lock was not seen.
            patients = list(
                expired_patients(completed_before)
                .filter(pk__in=candidates)
                .values_list("pk", flat=True)
            )
            removed = Removed(len(patients), remove(patients))
            if patients:
                write_down(
                    Action.REMOVED,
                    Patient,
                    **removed._asdict(),
                    completed_before=completed_before.isoformat(),
                    run_by=run_by,
                )
        yield removed


def remove(patients: Iterable[int]) -> int:
    """The number of their referrals, which go with them. The history forgets both."""
    referrals = list(
        Referral.objects.filter(patient__in=patients)
        .select_for_update(of=("self",))
        .values_list("pk", flat=True)
    )
    StatusChange.objects.filter(referral__in=referrals).delete()
    ReferralRequest.objects.filter(referral__in=referrals).delete()
    ReferralTest.objects.filter(referral__in=referrals).delete()
    Referral.objects.filter(pk__in=referrals).delete()
    Patient.objects.filter(pk__in=patients).delete()
    for table, ids in ((REFERRAL, referrals), (PATIENT, [str(patient) for patient in patients])):
        Change.objects.filter(subject_table=table, subject_id__in=ids).delete()
    return len(referrals)
