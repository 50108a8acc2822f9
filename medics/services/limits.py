"""How much one account, and one referral, can take in a period (the contract's "Limits").

Nothing is counted beside the rows themselves: a limit is reached where the row that many places
before the next one is younger than the period. Whoever asks holds a lock that the next one waits
for, so none slips through at the same time. It asks in a later statement than the one that took the
lock, since a statement sees what was committed before it began.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.exceptions import Throttled

from authentication.models import User

from ..models import Action, HistoryEntry, Referral, StatusChange

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Limit(NamedTuple):
    number: int
    period: timedelta


def limits_of_referrals(user: User) -> list[Limit]:
    is_new = timezone.now() < user.created_at + DAY
    if is_new:
        return [
            Limit(settings.NEW_ACCOUNT_REFERRALS_PER_HOUR, HOUR),
            Limit(settings.NEW_ACCOUNT_REFERRALS_PER_DAY, DAY),
        ]
    return [Limit(settings.REFERRALS_PER_HOUR, HOUR), Limit(settings.REFERRALS_PER_DAY, DAY)]


def limit_of_status_changes(referral: Referral) -> Limit:
    """More where so many are due: two of each test, as of the referral itself."""
    due = 2 * (len(referral.test_ids) + 1)
    return Limit(max(settings.STATUS_CHANGES_PER_HOUR, due), HOUR)


def nth_newest_change(referral: Referral) -> QuerySet[StatusChange, datetime]:
    """When the oldest change was made of those that reach the limit; no row where none do."""
    limit = limit_of_status_changes(referral)
    recent = StatusChange.objects.filter(
        referral_id=referral.pk, changed_at__gt=Now() - limit.period
    )
    newest_first = recent.order_by("-changed_at").values_list("changed_at", flat=True)
    return newest_first[limit.number - 1 : limit.number]


def refuse_beyond(limit: Limit, reached_at: datetime | None, what: str) -> None:
    """Raises Throttled where the limit is reached, until the row of that time is old enough."""
    if reached_at is not None:
        wait = reached_at + limit.period - timezone.now()
        period = "an hour" if limit.period == HOUR else "a day"
        raise Throttled(
            max(1, ceil(wait.total_seconds())), detail=f"{what}: {limit.number} {period} at most."
        )


def refuse_too_many_technicians(*, by: User) -> None:
    """Raises Throttled. Has the account's next one wait until this transaction ends."""
    limit = Limit(settings.TECHNICIANS_PER_HOUR, HOUR)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('technicians of ' || %s, 0))",
            [str(by.pk)],
        )
    made = HistoryEntry.objects.filter(
        changed_by=by,
        row_table=User._meta.db_table,
        action=Action.CREATED,
        changed_at__gt=Now() - limit.period,
    )
    newest_first = made.order_by("-changed_at").values_list("changed_at", flat=True)
    reached_at = newest_first[limit.number - 1 : limit.number].first()
    refuse_beyond(limit, reached_at, "Technicians of one account")
