import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from medics.models import Referral, ReferralTest, StatusChange, TestStatus
from medics.services.history import forgetting
from tests.factories import (
    BranchTechnicianFactory,
    PractitionerFactory,
    ReferralFactory,
    TestFactory,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

PENDING, RECEIVED, COMPLETED = TestStatus.values
DETAIL_KEYS = {
    "referral_id",
    "facility_name",
    "branch_name",
    "patient_name_or_id",
    "clinical_notes",
    "referring_doctor",
    "referred_at",
    "status",
    "updated_at",
    "completed_at",
    "tests",
}


def url(referral_id):
    return reverse("medics:get-update-referral", args=[referral_id])


def complete_tests(referral):
    referral.tests.update(status=COMPLETED, completed_at=timezone.now())


def columns(referral):
    return Referral.objects.values().get(pk=referral.pk)


# Every move


@pytest.mark.parametrize(
    ("start", "wanted", "code"),
    [
        (PENDING, PENDING, 200),
        (PENDING, RECEIVED, 200),
        (PENDING, COMPLETED, 200),
        (RECEIVED, PENDING, 200),
        (RECEIVED, RECEIVED, 200),
        (RECEIVED, COMPLETED, 200),
        (COMPLETED, PENDING, 400),
        (COMPLETED, RECEIVED, 400),
        (COMPLETED, COMPLETED, 200),
    ],
)
def test_the_moves_of_a_referral(signed_in, kofi, branch, start, wanted, code):
    referral = ReferralFactory(facility_branch=branch, status=start)
    complete_tests(referral)
    with forgetting():
        StatusChange.objects.all().delete()
    before = columns(referral)

    response = signed_in(kofi).put(url(referral.id), {"status": wanted})

    assert response.status_code == code
    after = columns(referral)
    if code == 400:
        assert set(response.json()["detail"]) == {"status"}
    else:
        assert response.json()["data"]["status"] == wanted == after["status"]
    if code == 400 or start == wanted:
        assert after == before
        assert not StatusChange.objects.exists()
    else:
        assert after["updated_at"] > before["updated_at"]
        assert (after["completed_at"] is not None) is (wanted == COMPLETED)
        change = StatusChange.objects.get()
        assert (change.from_status, change.to_status) == (start, wanted)


def test_the_answer_is_the_referral_as_it_then_stands(signed_in, kofi, referral):
    complete_tests(referral)
    client = signed_in(kofi)
    response = client.put(url(referral.id), {"status": COMPLETED})
    answer = response.json()
    data = answer.pop("data")
    assert answer == {"status": "success", "message": "Referral status updated successfully"}
    assert set(data) == DETAIL_KEYS
    assert data == client.get(url(referral.id)).json()["data"]
    referral.refresh_from_db()
    assert parse_datetime(data["completed_at"]) == referral.completed_at
    assert parse_datetime(data["updated_at"]) == referral.updated_at


def test_the_same_status_is_answered_alike(signed_in, kofi, referral):
    response = signed_in(kofi).put(url(referral.id), {"status": PENDING})
    assert response.json()["message"] == "Referral status updated successfully"
    assert set(response.json()["data"]) == DETAIL_KEYS


def test_the_tests_keep_their_status_when_the_referral_moves(signed_in, kofi, referral):
    signed_in(kofi).put(url(referral.id), {"status": RECEIVED})
    assert set(referral.tests.values_list("status", flat=True)) == {PENDING}


# Completion


@pytest.mark.parametrize("start", [PENDING, RECEIVED])
def test_open_tests_are_named(signed_in, kofi, branch, haematology, start):
    names = ["BLOOD FILM", "FULL BLOOD COUNT", "SICKLING"]
    referral = ReferralFactory(
        facility_branch=branch,
        status=start,
        tests=[TestFactory(test_type=haematology, name=name) for name in names],
    )
    film, count, _sickling = referral.tests.order_by("id")
    count.status = RECEIVED
    count.save()
    film.status = COMPLETED
    film.save()

    response = signed_in(kofi).put(url(referral.id), {"status": COMPLETED})

    assert response.status_code == 400
    detail = str(response.json()["detail"])
    assert "FULL BLOOD COUNT" in detail
    assert "SICKLING" in detail
    assert "BLOOD FILM" not in detail
    referral.refresh_from_db()
    assert referral.status == start
    assert referral.completed_at is None


def test_a_referral_without_tests_can_be_completed(signed_in, kofi, branch):
    referral = ReferralFactory(facility_branch=branch, tests=[])
    response = signed_in(kofi).put(url(referral.id), {"status": COMPLETED})
    assert response.status_code == 200
    assert response.json()["data"]["tests"] == []


# What is no status


@pytest.mark.parametrize(
    "status", [None, "", "pending", "Done", "Completed ", True, 1, [], {}, [COMPLETED], "Pend\0ing"]
)
def test_an_unknown_status_is_refused(signed_in, kofi, referral, status):
    before = columns(referral)
    response = signed_in(kofi).put(url(referral.id), {"status": status})
    assert response.status_code == 400
    assert set(response.json()["detail"]) == {"status"}
    assert columns(referral) == before


def test_a_missing_status_is_refused(signed_in, kofi, referral):
    response = signed_in(kofi).put(url(referral.id), {})
    assert response.status_code == 400
    assert response.json()["detail"] == {"status": ["This field is required."]}


@pytest.mark.parametrize("body", [[], "Received", 1, None])
def test_a_body_that_is_no_object_is_refused(signed_in, kofi, referral, body):
    assert signed_in(kofi).put(url(referral.id), body, format="json").status_code == 400


# Who


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_its_practitioner_the_branch_s_staff_and_the_facility_s_admin_change_it(
    request, signed_in, referral, person
):
    user = request.getfixturevalue(person)
    response = signed_in(user).put(url(referral.id), {"status": RECEIVED})
    assert response.status_code == 200
    assert StatusChange.objects.get().changed_by == user


def test_staff_is_whoever_is_assigned_whatever_the_role(signed_in, referral, branch):
    colleague = PractitionerFactory()
    BranchTechnicianFactory(user=colleague, branch=branch)
    assert signed_in(colleague).put(url(referral.id), {"status": RECEIVED}).status_code == 200


@pytest.mark.parametrize("person", ["ama", "kofi", "efua"])
def test_what_was_referred_to_a_closed_branch_can_be_finished(
    request, signed_in, referral, branch, person
):
    branch.is_active = False
    branch.save()
    complete_tests(referral)
    client = signed_in(request.getfixturevalue(person))
    assert client.put(url(referral.id), {"status": RECEIVED}).status_code == 200
    assert client.put(url(referral.id), {"status": COMPLETED}).status_code == 200


def test_who_has_no_part_in_it_is_forbidden(signed_in, outsiders, referral):
    before = columns(referral)
    for outsider in outsiders:
        client = signed_in(outsider)
        for body in ({"status": RECEIVED}, {"status": PENDING}, {"status": "Done"}, {}):
            response = client.put(url(referral.id), body)
            assert response.status_code == 403
            assert isinstance(response.json()["detail"], str)
    assert columns(referral) == before
    assert not StatusChange.objects.exists()


@pytest.mark.parametrize("referral_id", ["ZZZZZZZZZZ", "zzzzzzzzzz", "1", "Z" * 11, "%00"])
@pytest.mark.parametrize("body", [{"status": RECEIVED}, {"status": "Done"}, {}])
def test_an_unknown_referral(signed_in, kofi, referral_id, body):
    response = signed_in(kofi).put(f"/api/medics/referral/{referral_id}", body)
    assert response.status_code == 400
    assert response.json()["detail"] == "Referral does not exist."


def test_nobody_changes_it_without_a_token(anyone, referral):
    assert anyone.put(url(referral.id), {"status": RECEIVED}).status_code == 401
    referral.refresh_from_db()
    assert referral.status == PENDING


def test_a_change_takes_six_statements_or_fewer_whatever_the_number_of_tests(
    signed_in, kofi, referral, haematology
):
    client = signed_in(kofi)
    with statements() as with_two_tests:
        assert client.put(url(referral.id), {"status": RECEIVED}).status_code == 200
    ReferralTest.objects.bulk_create(
        ReferralTest(referral=referral, test=TestFactory(test_type=haematology)) for _ in range(30)
    )
    complete_tests(referral)
    with statements() as with_many:
        assert client.put(url(referral.id), {"status": COMPLETED}).status_code == 200
    # the user with the session, the referral that the user may change, the same locked, its tests,
    # the change, the referral as it is then
    assert len(with_two_tests) == len(with_many) <= 6
