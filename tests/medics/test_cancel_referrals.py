"""All that one account referred in a period is cancelled at once."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from medics.choices import CancellationReason
from medics.models import HistoryEntry, Referral, ReferralTest
from medics.services import referrals
from medics.services.referrals import cancel_referrals
from tests.factories import PractitionerFactory, ReferralFactory, UserFactory
from tests.support.audit_context import changes_by
from tests.support.referral_counts import wrong_counts
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED, CANCELLED = "Pending", "Received", "Completed", "Cancelled"


def cancel(practitioner, *, hours=1, **fields):
    now = timezone.now()
    return cancel_referrals(
        practitioner=practitioner,
        first_moment=now - timedelta(hours=hours),
        last_moment=now,
        **{"reason": CancellationReason.DUPLICATE, **fields},
    )


@pytest.fixture
def cancelled(referral, ama):
    """Ama's referral to Osu, with two tests, of which one was completed."""
    referral.tests.filter(pk=referral.tests.first().pk).update(
        status=COMPLETED, completed_at=timezone.now()
    )
    assert cancel(ama, note="Sent twice") == 1
    referral.refresh_from_db()
    return referral


def test_what_is_open_of_the_account_and_the_period_is_cancelled(ama, branch, monkeypatch):
    monkeypatch.setattr(referrals, "CANCELLED_AT_ONCE", 2)
    operator = UserFactory(full_name="Adwoa Operator")
    of_ama = {"referred_by": ama, "facility_branch": branch}
    open_ones = [ReferralFactory(**of_ama, status=s) for s in (PENDING, RECEIVED) * 2 + (PENDING,)]
    others = [
        ReferralFactory(**of_ama, status=COMPLETED),
        ReferralFactory(**of_ama, referred_at=timezone.now() - timedelta(hours=2)),
        ReferralFactory(facility_branch=branch),
    ]
    before = list(Referral.objects.filter(pk__in=[r.pk for r in others]).order_by("pk").values())

    with changes_by(operator):
        number = cancel(ama, reason=CancellationReason.OTHER, note="Made up by a stranger")

    assert number == 5
    found = Referral.objects.filter(status=CANCELLED)
    assert set(found) == set(open_ones)
    assert set(found.values_list("closing_code", "closing_note", "completed_at")) == {
        ("other", "Made up by a stranger", None)
    }
    assert all(referral.closed_at == referral.updated_at for referral in found)
    assert before == list(
        Referral.objects.filter(pk__in=[r.pk for r in others]).order_by("pk").values()
    )
    entries = HistoryEntry.objects.filter(subject_id=open_ones[1].pk, changed_by=operator)
    changes = [(entry.old, entry.new) for entry in entries]
    assert len(changes) == 2
    assert ({"status": RECEIVED}, {"status": CANCELLED}) in changes
    assert (
        {"closing_code": "", "closing_note": ""},
        {"closing_code": "other", "closing_note": "Made up by a stranger"},
    ) in changes
    assert wrong_counts() == []
    assert cancel(ama) == 0


def test_another_reason_needs_a_note(ama, referral):
    with pytest.raises(ValidationError) as error:
        cancel(ama, reason=CancellationReason.OTHER)

    assert error.value.detail == {"note": ["Say which reason it is."]}
    referral.refresh_from_db()
    assert referral.status == PENDING


def test_a_thousand_cost_two_statements(ama, branch):
    ReferralFactory.create_batch(3, referred_by=ama, facility_branch=branch, tests=[])

    with statements() as sent:
        cancel(ama)

    assert len(sent) == 2


def test_nobody_sets_it(signed_in, kofi, ama, referral):
    test = referral.tests.first()
    for user in (ama, kofi):
        client = signed_in(user)
        of_referral = client.put(
            reverse("medics:get-update-referral", args=[referral.pk]), {"status": CANCELLED}
        )
        of_test = client.put(
            reverse("medics:update-test-status", args=[test.pk]), {"status": CANCELLED}
        )
        assert (of_referral.status_code, of_test.status_code) == (400, 400)
    referral.refresh_from_db()
    assert referral.status == PENDING


@pytest.mark.parametrize("wanted", [PENDING, RECEIVED, COMPLETED])
def test_a_cancelled_referral_and_its_tests_are_final(signed_in, kofi, ama, cancelled, wanted):
    rows = [list(model.objects.order_by("pk").values()) for model in (Referral, ReferralTest)]

    for user in (ama, kofi):
        client = signed_in(user)
        answers = [
            client.put(
                reverse("medics:get-update-referral", args=[cancelled.pk]), {"status": wanted}
            )
        ]
        for test in cancelled.tests.all():
            url = reverse("medics:update-test-status", args=[test.pk])
            answers.append(client.put(url, {"status": wanted}))
        details = [answer.json()["detail"] for answer in answers]
        assert {answer.status_code for answer in answers} == {400}
        assert details[0] == {"status": [f"A Cancelled referral cannot become {wanted}."]}
        assert (
            details[1]
            == details[2]
            == {"status": ["The referral is cancelled; its tests can no longer change."]}
        )

    assert rows == [
        list(model.objects.order_by("pk").values()) for model in (Referral, ReferralTest)
    ]


@pytest.mark.parametrize("route", ["get-practitioner-referrals", "get-technician-referrals"])
def test_lists_count_and_find_it(signed_in, kofi, ama, cancelled, branch, route):
    ReferralFactory(referred_by=ama, facility_branch=branch)
    client = signed_in(ama if "practitioner" in route else kofi)

    def listed(**query):
        data = client.get(reverse(f"medics:{route}"), query).json()["data"]
        return [row["status"] for row in data["referrals"]], data["data_summary"]

    assert listed() == (
        [PENDING, CANCELLED],
        {
            "total_referrals": 2,
            "total_completed": 0,
            "total_pending": 1,
            "total_received": 0,
            "total_cancelled": 1,
        },
    )
    for query in ({"status": CANCELLED}, {"status": CANCELLED, "search_query": "akosua"}):
        statuses, totals = listed(**query)
        assert statuses == [CANCELLED]
        assert (totals["total_referrals"], totals["total_cancelled"]) == (1, 1)


def test_the_answer_about_it_says_so(signed_in, ama, cancelled):
    url = reverse("medics:get-update-referral", args=[cancelled.pk])

    data = signed_in(ama).get(url).json()["data"]

    assert (data["status"], data["completed_at"]) == (CANCELLED, None)
    assert sorted(test["status"] for test in data["tests"]) == [COMPLETED, PENDING]


def test_another_account_is_left_alone(ama, referral):
    assert cancel(PractitionerFactory()) == 0
