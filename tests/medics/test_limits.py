"""How much one account, and one referral, takes in a period: beyond, 429, and nothing is stored."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from authentication.models import User
from medics.models import (
    IdempotentRequest,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
    TestStatus,
)
from medics.services.history import forgetting
from medics.services.referrals import create_referral
from tests.factories import PASSWORD, ReferralFactory, TestFactory
from tests.support.concurrency import at_once
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

CREATE = "/api/medics/referral"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def low_limits(settings):
    settings.REFERRALS_PER_HOUR, settings.REFERRALS_PER_DAY = 3, 5
    settings.NEW_ACCOUNT_REFERRALS_PER_HOUR, settings.NEW_ACCOUNT_REFERRALS_PER_DAY = 2, 4
    settings.TECHNICIANS_PER_HOUR = 2
    settings.STATUS_CHANGES_PER_HOUR = 6


def stored():
    models = (Patient, Referral, ReferralTest, IdempotentRequest, StatusChange, User)
    return [model.objects.count() for model in models]


def assert_refused(answer, *, within, words):
    """That it is 429 in the envelope, and says when to come back, rounded up."""
    assert answer.status_code == 429
    assert answer.json().keys() == {"status", "code", "detail"}
    assert words in answer.json()["detail"]
    assert within - 30 <= int(answer["Retry-After"]) <= within + 1


# Referrals


@pytest.fixture
def old(ama):
    """Ama's account is as old as that."""
    User.objects.filter(pk=ama.pk).update(created_at=timezone.now() - timedelta(days=3))
    return ama


def visits(body, number):
    return [body | {"clinical_notes": f"Visit {n}"} for n in range(number)]


def made_before(by, branch, *ago):
    for each in ago:
        ReferralFactory(
            referred_by=by, facility_branch=branch, referred_at=timezone.now() - each, tests=[]
        )


def test_an_hour_takes_so_many(signed_in, old, yaw, body, branch):
    client = signed_in(old)
    made_before(old, branch, HOUR + timedelta(seconds=1))
    codes = [client.post(CREATE, visit).status_code for visit in visits(body, 3)]
    assert codes == [201] * 3
    before = stored()

    for _ in range(2):
        refused = client.post(CREATE, body | {"clinical_notes": "one more"})
        assert_refused(refused, within=3600, words="3 an hour at most")
    assert stored() == before
    assert signed_in(yaw).post(CREATE, body).status_code == 201


def test_a_day_takes_so_many(signed_in, old, body, branch):
    made_before(old, branch, *[DAY - timedelta(minutes=10), *[timedelta(hours=5)] * 4])
    client = signed_in(old)

    assert_refused(client.post(CREATE, body), within=600, words="5 a day at most")
    Referral.objects.order_by("referred_at").first().delete()
    assert client.post(CREATE, body).status_code == 201
    assert_refused(
        client.post(CREATE, body | {"clinical_notes": "again"}),
        within=19 * 3600,
        words="5 a day at most",
    )


def test_the_wait_is_until_the_oldest_that_counts_is_old_enough(signed_in, old, body, branch):
    made_before(old, branch, *[timedelta(minutes=minutes) for minutes in (59, 50, 40, 30)])
    # Three of the four are due to go: the third newest is 50 minutes old.
    assert_refused(signed_in(old).post(CREATE, body), within=600, words="3 an hour")


@pytest.mark.parametrize(
    ("age", "per_hour"), [(timedelta(0), 2), (timedelta(hours=23), 2), (timedelta(hours=25), 3)]
)
def test_an_account_has_less_in_its_first_day(signed_in, ama, body, age, per_hour):
    User.objects.filter(pk=ama.pk).update(created_at=timezone.now() - age)
    client = signed_in(ama)
    codes = [client.post(CREATE, visit).status_code for visit in visits(body, 5)]
    assert codes == [201] * per_hour + [429] * (5 - per_hour)


def test_a_new_account_has_its_own_day(signed_in, ama, body, branch):
    made_before(ama, branch, *[timedelta(hours=2)] * 4)
    assert_refused(signed_in(ama).post(CREATE, body), within=22 * 3600, words="4 a day at most")


def test_a_repeat_counts_for_nothing_and_is_answered_beyond_the_limit(signed_in, old, body):
    client = signed_in(old)
    first = client.post(CREATE, body, headers={"Idempotency-Key": "k"})
    for _ in range(5):
        assert client.post(CREATE, body).json() == first.json()
        again = client.post(CREATE, body, headers={"Idempotency-Key": "k"})
        assert again["Idempotent-Replayed"] == "true"
    for visit in visits(body, 2):
        assert client.post(CREATE, visit).status_code == 201

    assert client.post(CREATE, body | {"clinical_notes": "new"}).status_code == 429
    assert client.post(CREATE, body).json() == first.json()
    assert Referral.objects.count() == 3


def test_what_is_refused_counts_for_nothing_and_keeps_no_key(signed_in, old, body):
    client = signed_in(old)
    for visit in visits(body, 4):
        assert client.post(CREATE, visit | {"tests": [0]}).status_code == 400
    for visit in visits(body, 3):
        assert client.post(CREATE, visit).status_code == 201
    later = {"data": body | {"clinical_notes": "later"}, "headers": {"Idempotency-Key": "k"}}
    assert client.post(CREATE, **later).status_code == 429
    first = Referral.objects.order_by("referred_at").first()
    Referral.objects.filter(pk=first.pk).update(referred_at=timezone.now() - HOUR)
    answer = client.post(CREATE, **later)
    assert answer.status_code == 201
    assert not answer.has_header("Idempotent-Replayed")


def test_scripts_have_no_limit(old, branch, blood_count):
    for _ in range(9):
        create_referral(
            practitioner=old,
            branch_id=branch.id,
            test_ids=[blood_count.id],
            patient_full_name_or_id="Akosua Mensah",
        )


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_taken_up_to_the_limit(signed_in, old, body):
    clients = [signed_in(old) for _ in range(8)]
    answers = at_once(
        lambda one: one[0].post(CREATE, one[1]), zip(clients, visits(body, 8), strict=True)
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 3 + [429] * 5
    assert Referral.objects.count() == 3


def test_the_count_costs_no_statement(signed_in, old, body):
    client = signed_in(old)
    with statements() as sent:
        assert client.post(CREATE, body).status_code == 201
    assert len(sent) <= 10
    with statements() as sent:
        assert client.post(CREATE, body).status_code == 201
    assert len(sent) <= 4


# Changes of status


def change_referral(client, referral, status):
    return client.put(reverse("medics:get-update-referral", args=[referral.pk]), {"status": status})


def change_test(client, test, status):
    return client.put(reverse("medics:update-test-status", args=[test.pk]), {"status": status})


def test_a_referral_takes_so_many_changes_with_those_of_its_tests(signed_in, kofi, ama, referral):
    client, count = signed_in(kofi), referral.tests.first()
    for status in ("Received", "Pending", "Received"):
        assert change_referral(client, referral, status).status_code == 200
    for status in ("Completed", "Pending", "Completed"):
        assert change_test(signed_in(ama), count, status).status_code == 200
    before = list(StatusChange.objects.values())

    words = "6 an hour at most"
    assert_refused(change_referral(client, referral, "Pending"), within=3600, words=words)
    assert_refused(change_test(client, count, "Pending"), within=3600, words=words)
    assert list(StatusChange.objects.values()) == before
    # What changes nothing, or is wrong, is told so as ever.
    assert change_referral(client, referral, "Received").status_code == 200
    assert change_test(client, count, "Completed").status_code == 400
    # Another referral has its own.
    other = ReferralFactory(facility_branch=referral.facility_branch)
    assert change_referral(client, other, "Received").status_code == 200


def test_an_hour_later_it_takes_more(signed_in, kofi, referral):
    ago = [timedelta(minutes=minutes) for minutes in (70, 59, 50, 40, 30, 20, 10)]
    StatusChange.objects.bulk_create(
        StatusChange(
            referral=referral,
            from_status=TestStatus.PENDING,
            to_status=TestStatus.RECEIVED,
            changed_at=timezone.now() - each,
        )
        for each in ago
    )
    client = signed_in(kofi)
    assert_refused(change_referral(client, referral, "Received"), within=60, words="6 an hour")
    with forgetting():
        StatusChange.objects.order_by("changed_at")[1].delete()
    assert change_referral(client, referral, "Received").status_code == 200


def test_a_referral_of_many_tests_can_be_worked_through(signed_in, kofi, referral, haematology):
    for _ in range(4):
        ReferralTest.objects.create(referral=referral, test=TestFactory(test_type=haematology))
    client = signed_in(kofi)
    assert change_referral(client, referral, "Received").status_code == 200
    for status in ("Received", "Completed"):
        for test in referral.tests.all():
            assert change_test(client, test, status).status_code == 200
    assert change_referral(client, referral, "Completed").status_code == 200


def test_a_referral_without_tests_has_the_limit_too(signed_in, kofi, referral):
    empty = ReferralFactory(facility_branch=referral.facility_branch, tests=[])
    client = signed_in(kofi)
    codes = [
        change_referral(client, empty, ("Received", "Pending")[n % 2]).status_code for n in range(7)
    ]
    assert codes == [200] * 6 + [429]


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_are_taken_up_to_the_limit(signed_in, kofi, referral, haematology):
    tests = [*referral.tests.all()]
    for _ in range(4):
        StatusChange.objects.create(
            referral=referral,
            from_status=TestStatus.PENDING,
            to_status=TestStatus.RECEIVED,
            changed_at=timezone.now(),
        )
    asked = [(signed_in(kofi), test, status) for test in tests for status in TestStatus.values[1:]]
    codes = [answer.status_code for answer in at_once(lambda one: change_test(*one), asked)]
    assert sorted(codes) == [200, 200, 429, 429]
    assert StatusChange.objects.count() == 6


# Technicians


@pytest.fixture
def technician(branch):
    def technician(number):
        return {
            "full_name": f"Technician {number}",
            "phone_number": f"02090001{number:02}",
            "branch_id": branch.id,
            "password": PASSWORD,
        }

    return technician


ADD = "/api/medics/lab-technicians/add"


def test_an_administrator_adds_so_many_technicians_an_hour(signed_in, efua, technician):
    client = signed_in(efua)
    assert client.post(ADD, technician(0)).status_code == 201
    # Refused for another reason: it counts for nothing.
    assert client.post(ADD, technician(0)).status_code == 400
    assert client.post(ADD, technician(1)).status_code == 201
    before = stored()

    refused = client.post(ADD, technician(2))
    assert_refused(refused, within=3600, words="2 an hour at most")
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_technicians_at_once_are_taken_up_to_the_limit(signed_in, efua, technician):
    asked = [(signed_in(efua), technician(number)) for number in range(6)]
    codes = [answer.status_code for answer in at_once(lambda one: one[0].post(ADD, one[1]), asked)]
    assert sorted(codes) == [201] * 2 + [429] * 4
