from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from medics.models import ReferralTest, StatusChange, TestStatus
from medics.services.history import forgetting
from tests.factories import (
    BranchTechnicianFactory,
    PractitionerFactory,
    ReferralFactory,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED = TestStatus.values
NO_PERMISSION = "You do not have permission to update this test status."
UNKNOWN = "Referral test with the given ID does not exist."
INVALID = "Invalid status value."


def url(referral_test_id):
    return reverse("medics:update-test-status", args=[referral_test_id])


@pytest.fixture
def count(referral, blood_count):
    """The full blood count within Ama's referral."""
    return referral.tests.get(test=blood_count)


def columns(test):
    return ReferralTest.objects.values().get(pk=test.pk)


# Every move


@pytest.mark.parametrize("referral_status", [PENDING, RECEIVED])
@pytest.mark.parametrize("start", TestStatus.values)
@pytest.mark.parametrize("wanted", TestStatus.values)
def test_the_moves_of_a_test_in_an_open_referral(
    signed_in, kofi, referral, count, referral_status, start, wanted
):
    referral.status = referral_status
    referral.save()
    count.status = start
    count.save()
    with forgetting():
        StatusChange.objects.all().delete()
    before = columns(count)

    response = signed_in(kofi).put(url(count.id), {"status": wanted})

    after = columns(count)
    if start == wanted:
        assert response.status_code == 400
        assert after == before
        assert not StatusChange.objects.exists()
    else:
        assert response.status_code == 200
        assert response.json()["data"]["status"] == wanted == after["status"]
        assert (after["completed_at"] is not None) is (wanted == COMPLETED)
        assert after["updated_at"] > before["updated_at"]
        change = StatusChange.objects.get()
        assert (change.from_status, change.to_status) == (start, wanted)
    referral.refresh_from_db()
    assert referral.status == referral_status


@pytest.mark.parametrize("wanted", TestStatus.values)
def test_the_tests_of_a_completed_referral_are_final(signed_in, ama, kofi, branch, wanted):
    referral = ReferralFactory(referred_by=ama, facility_branch=branch, status=COMPLETED)
    test = referral.tests.get()
    before = columns(test)
    for user in (ama, kofi):
        assert signed_in(user).put(url(test.id), {"status": wanted}).status_code == 400
    assert columns(test) == before
    assert not StatusChange.objects.exists()


def test_a_test_left_open_in_a_completed_referral_is_final_too(signed_in, kofi, branch):
    referral = ReferralFactory(facility_branch=branch)
    referral.status = COMPLETED
    referral.save()
    test = referral.tests.get()
    assert signed_in(kofi).put(url(test.id), {"status": COMPLETED}).status_code == 400
    test.refresh_from_db()
    assert test.status == PENDING


def test_the_public_client_s_checkbox_ticks_and_unticks(signed_in, kofi, count):
    client = signed_in(kofi)

    ticked = client.put(url(count.id), {"status": COMPLETED}).json()["data"]
    count.refresh_from_db()
    assert parse_datetime(ticked["completed_at"]) == count.completed_at

    unticked = client.put(url(count.id), {"status": PENDING}).json()["data"]
    count.refresh_from_db()
    assert unticked["completed_at"] is None
    assert count.completed_at is None

    ticked_again = client.put(url(count.id), {"status": COMPLETED}).json()["data"]
    assert parse_datetime(ticked_again["completed_at"]) > parse_datetime(ticked["completed_at"])


def test_the_answer_is_the_test_as_it_then_stands(signed_in, kofi, referral, count):
    response = signed_in(kofi).put(url(count.id), {"status": COMPLETED})
    assert response.status_code == 200
    answer = response.json()
    data = answer.pop("data")
    assert answer == {"status": "success", "message": "Test status updated successfully"}
    count.refresh_from_db()
    assert parse_datetime(data.pop("updated_at")) == count.updated_at
    assert parse_datetime(data.pop("completed_at")) == count.completed_at
    assert data == {
        "referral_id": referral.id,
        "test_id": count.id,
        "test_name": "FULL BLOOD COUNT",
        "test_type_name": "HAEMATOLOGY",
        "status": "Completed",
    }


def test_the_other_tests_stay_as_they_are(signed_in, kofi, referral, count):
    signed_in(kofi).put(url(count.id), {"status": COMPLETED})
    other = referral.tests.exclude(pk=count.pk).get()
    assert other.status == PENDING
    assert other.completed_at is None


# What is no status


@pytest.mark.parametrize(
    "body",
    [
        {},
        *(
            {"status": wrong}
            for wrong in [
                None, "", "completed", "Done", "Completed ", True, 1, [], {}, [COMPLETED], "Pe\0nd",
            ]
        ),
        [],
        "Completed",
        1,
        None,
    ],
)  # fmt: skip
def test_an_unknown_or_missing_status(signed_in, kofi, count, body):
    before = columns(count)
    response = signed_in(kofi).put(url(count.id), body, format="json")
    assert response.status_code == 400
    assert response.json() == {"status": "error", "code": "400", "detail": INVALID}
    assert columns(count) == before


# Who


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_its_practitioner_the_branch_s_staff_and_the_facility_s_admin_change_it(
    request, signed_in, count, person
):
    user = request.getfixturevalue(person)
    assert signed_in(user).put(url(count.id), {"status": RECEIVED}).status_code == 200
    assert StatusChange.objects.get().changed_by == user


def test_staff_is_whoever_is_assigned_whatever_the_role(signed_in, count, branch):
    colleague = PractitionerFactory()
    BranchTechnicianFactory(user=colleague, branch=branch)
    assert signed_in(colleague).put(url(count.id), {"status": RECEIVED}).status_code == 200


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_what_was_referred_to_a_closed_branch_can_be_finished(
    request, signed_in, branch, count, person
):
    branch.is_active = False
    branch.save()
    client = signed_in(request.getfixturevalue(person))
    assert client.put(url(count.id), {"status": COMPLETED}).status_code == 200


def test_who_has_no_part_in_it_is_refused(signed_in, outsiders, count):
    before = columns(count)
    for outsider in outsiders:
        client = signed_in(outsider)
        for status in (RECEIVED, PENDING):
            response = client.put(url(count.id), {"status": status})
            assert response.status_code == 400
            assert response.json() == {"status": "error", "code": "400", "detail": NO_PERMISSION}
    assert columns(count) == before
    assert not StatusChange.objects.exists()


@pytest.mark.parametrize(
    "referral_test_id",
    ["0", "-1", "1.5", "x", str(2**63 - 1), str(2**63), "9" * 500, "%00", "%D9%A1", "ZZZZZZZZZZ"],
)
def test_an_unknown_test(signed_in, kofi, referral_test_id):
    response = signed_in(kofi).put(
        f"/api/medics/referral-tests/{referral_test_id}/status", {"status": COMPLETED}
    )
    assert response.status_code == 400
    assert response.json() == {"status": "error", "code": "400", "detail": UNKNOWN}


def test_the_id_is_the_one_within_the_referral_not_the_catalogue_s(
    signed_in, kofi, referral, blood_count
):
    for _ in range(5):
        ReferralFactory(facility_branch=referral.facility_branch, tests=[blood_count])
    latest = ReferralTest.objects.latest("id")
    data = signed_in(kofi).put(url(latest.id), {"status": COMPLETED}).json()["data"]
    assert data["test_id"] == latest.id
    assert data["referral_id"] == latest.referral_id
    assert list(ReferralTest.objects.filter(status=COMPLETED)) == [latest]


def test_nobody_changes_it_without_a_token(anyone, count):
    assert anyone.put(url(count.id), {"status": COMPLETED}).status_code == 401
    count.refresh_from_db()
    assert count.status == PENDING


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_a_change_takes_six_statements_or_fewer(request, signed_in, count, person):
    client = signed_in(request.getfixturevalue(person))
    with statements() as sent:
        assert client.put(url(count.id), {"status": COMPLETED}).status_code == 200
    # the user with the session, the test that the user may change, its referral locked, the test,
    # who changes it, the change
    assert len(sent) <= 6


def test_a_change_writes_what_changed_and_no_other_column(signed_in, kofi, count):
    created_at = timezone.now() - timedelta(days=3)
    ReferralTest.objects.filter(pk=count.pk).update(created_at=created_at)
    signed_in(kofi).put(url(count.id), {"status": COMPLETED})
    count.refresh_from_db()
    assert count.created_at == created_at
    assert count.turnaround_time() == pytest.approx(72, abs=0.1)
