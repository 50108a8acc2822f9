"""/metrics shows the laboratories' work by statements that cost the same whatever its amount."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from _tetradx.observability.database_metrics import QUESTIONS, answers
from medics.metrics import referrals, turnaround
from medics.models import Referral, StatusChange, TestStatus
from medics.services.referrals import set_referral_status, set_test_status
from tests.factories import ReferralFactory
from tests.support.query_plans import nodes_run

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED = TestStatus
MOST_CHANGES = 10_000


def shown(families):
    """{(name, label values...): number} of what they make of their statement's rows."""
    [sql] = [question.sql for question in QUESTIONS if question.families is families]
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(rows)
        for sample in family.samples
    }


def complete(referral, *, hours):
    """Has it completed now, so many hours after it was referred."""
    for test in referral.tests.all():
        set_test_status(test=test, status=COMPLETED)
    Referral.objects.filter(pk=referral.pk).update(
        referred_at=timezone.now() - timedelta(hours=hours)
    )
    set_referral_status(referral_id=referral.pk, status=COMPLETED)


def test_referrals_are_counted_by_status(referral, kofi):
    ReferralFactory(status=RECEIVED)

    assert shown(referrals) == {
        ("tetradx_referrals", "Pending"): 1,
        ("tetradx_referrals", "Received"): 1,
        ("tetradx_referrals", "Completed"): 0,
        ("tetradx_referrals", "Cancelled"): 0,
    }


def test_turnaround_is_that_of_the_completed(referral, kofi):
    for hours in (1, 2, 3):
        complete(ReferralFactory(), hours=hours)

    found = shown(turnaround)

    assert found["tetradx_completed_referrals_24h",] == 3
    assert found["tetradx_turnaround_seconds_24h_sum",] == pytest.approx(6 * 3600, abs=60)
    assert found["tetradx_turnaround_seconds_24h", "0.5"] == pytest.approx(2 * 3600, abs=60)
    assert found["tetradx_turnaround_seconds_24h", "0.95"] == pytest.approx(2.9 * 3600, abs=60)


def test_none_completed_have_no_turnaround(referral):
    assert shown(turnaround) == {
        ("tetradx_completed_referrals_24h",): 0,
        ("tetradx_turnaround_seconds_24h_sum",): 0,
    }


def test_what_was_completed_two_days_ago_is_past(referral, kofi):
    StatusChange.objects.create(
        referral=referral,
        from_status=RECEIVED,
        to_status=COMPLETED,
        changed_at=timezone.now() - timedelta(days=2),
    )

    assert shown(turnaround)["tetradx_completed_referrals_24h",] == 0


def test_all_are_asked_at_once(referral):
    assert {"tetradx_referrals", "tetradx_completed_referrals_24h"} <= {
        family.name for family in answers()
    }


@pytest.mark.django_db(transaction=True)
def test_a_long_history_is_not_read_through(referral, kofi):
    complete(referral, hours=1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO medics_statuschange (referral_id, from_status, to_status, changed_at)
            SELECT %s, 'Received', 'Completed', now() FROM generate_series(1, 30000)
            """,
            [referral.pk],
        )
        cursor.execute("VACUUM ANALYZE medics_statuschange, medics_referral, medics_referralcount")
        for question in QUESTIONS:
            for node in nodes_run(question.sql):
                if node.get("Relation Name") == "medics_statuschange":
                    assert node["Node Type"] == "Index Scan"
                    assert node["Actual Rows"] == MOST_CHANGES
                if node.get("Relation Name") == "medics_referral":
                    assert node["Actual Rows"] <= 1
    assert shown(turnaround)["tetradx_completed_referrals_24h",] == MOST_CHANGES
