import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from medics.models import Referral, ReferralTest, StatusChange, TestStatus
from medics.services.referrals import set_referral_status
from tests.support.audit_context import changes_by

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED = TestStatus.values


@pytest.fixture
def count(referral, blood_count):
    """The full blood count within Ama's referral."""
    return referral.tests.get(test=blood_count)


@pytest.fixture
def set_referral(signed_in, referral):
    def set_referral(user, status):
        url = reverse("medics:get-update-referral", args=[referral.id])
        return signed_in(user).put(url, {"status": status}).status_code

    return set_referral


@pytest.fixture
def set_count(signed_in, count):
    def set_count(user, status):
        url = reverse("medics:update-test-status", args=[count.id])
        return signed_in(user).put(url, {"status": status}).status_code

    return set_count


def history():
    """Who, what, from, to of each change, in their order."""
    return [
        (change.changed_by, change.referral_test or change.referral, *moved)
        for change in StatusChange.objects.select_related("changed_by", "referral_test__referral")
        for moved in [(change.from_status, change.to_status)]
    ]


def test_each_change_says_who_what_from_and_to(
    set_referral, set_count, ama, kofi, efua, referral, count
):
    referral.tests.exclude(pk=count.pk).delete()
    assert set_referral(ama, RECEIVED) == 200
    assert set_count(kofi, COMPLETED) == 200
    assert set_count(kofi, PENDING) == 200
    assert set_count(efua, COMPLETED) == 200
    assert set_referral(kofi, COMPLETED) == 200
    assert history() == [
        (ama, referral, PENDING, RECEIVED),
        (kofi, count, PENDING, COMPLETED),
        (kofi, count, COMPLETED, PENDING),
        (efua, count, PENDING, COMPLETED),
        (kofi, referral, RECEIVED, COMPLETED),
    ]
    assert {change.referral for change in StatusChange.objects.all()} == {referral}


def test_each_change_says_when(set_referral, ama, referral):
    before = timezone.now()
    set_referral(ama, RECEIVED)
    change = StatusChange.objects.get()
    assert before <= change.changed_at <= timezone.now()
    assert change.changed_at.utcoffset().total_seconds() == 0


def test_a_refused_change_leaves_no_row(set_referral, set_count, kofi, yaw):
    assert set_count(kofi, PENDING) == 400
    assert set_count(kofi, "Done") == 400
    assert set_count(yaw, COMPLETED) == 400
    assert set_referral(kofi, COMPLETED) == 400
    assert set_referral(kofi, "Done") == 400
    assert set_referral(yaw, RECEIVED) == 403
    assert history() == []


def test_the_status_that_a_referral_has_leaves_no_row(set_referral, kofi):
    assert set_referral(kofi, PENDING) == 200
    assert history() == []


def test_a_new_referral_has_no_history(signed_in, ama, branch, blood_count):
    signed_in(ama).post(
        reverse("medics:create-referral"),
        {
            "patient_full_name_or_id": "Akosua Mensah",
            "tests": [blood_count.id],
            "branch_id": branch.id,
        },
    )
    assert history() == []


# Past the service


def test_a_save_leaves_a_row_with_nobody(referral, count):
    referral.status = RECEIVED
    referral.save()
    count.status = COMPLETED
    count.save(update_fields=["status"])
    assert history() == [
        (None, referral, PENDING, RECEIVED),
        (None, count, PENDING, COMPLETED),
    ]


def test_a_save_of_something_else_leaves_none(referral):
    referral.clinical_notes = "Fever"
    referral.save()
    assert history() == []


def test_an_update_of_many_leaves_a_row_for_each(referral):
    ReferralTest.objects.update(status=RECEIVED)
    ReferralTest.objects.update(status=RECEIVED)
    Referral.objects.update(status=COMPLETED, completed_at=timezone.now())
    first, second = referral.tests.all()
    assert sorted(history(), key=str) == sorted(
        [
            (None, first, PENDING, RECEIVED),
            (None, second, PENDING, RECEIVED),
            (None, referral, PENDING, COMPLETED),
        ],
        key=str,
    )


def test_raw_sql_leaves_a_row(referral, count):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE medics_referral SET status = 'Received'")
        cursor.execute(
            "UPDATE medics_referraltest SET status = 'Completed', completed_at = now() "
            "WHERE id = %s",
            [count.id],
        )
    assert history() == [
        (None, referral, PENDING, RECEIVED),
        (None, count, PENDING, COMPLETED),
    ]


def test_a_row_is_rolled_back_with_its_change(set_referral, kofi, referral):
    with transaction.atomic():
        assert set_referral(kofi, RECEIVED) == 200
        assert len(history()) == 1
        transaction.set_rollback(True)
    assert history() == []
    referral.refresh_from_db()
    assert referral.status == PENDING


@pytest.mark.django_db(transaction=True)
def test_a_script_s_change_after_a_request_is_not_put_down_to_its_user(
    set_referral, ama, kofi, referral
):
    set_referral(kofi, RECEIVED)
    referral.refresh_from_db()
    referral.status = PENDING
    referral.save()
    set_referral(ama, RECEIVED)
    Referral.objects.update(status=PENDING)
    assert history() == [
        (kofi, referral, PENDING, RECEIVED),
        (None, referral, RECEIVED, PENDING),
        (ama, referral, PENDING, RECEIVED),
        (None, referral, RECEIVED, PENDING),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_names_nobody_for_the_next(kofi, referral):
    with changes_by(kofi), transaction.atomic():
        set_referral_status(referral_id=referral.pk, status=TestStatus.RECEIVED)
        transaction.set_rollback(True)
    Referral.objects.update(status=RECEIVED)
    assert history() == [(None, referral, PENDING, RECEIVED)]
