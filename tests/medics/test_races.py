"""Two changes at once: real threads, each with a connection of its own."""

from operator import call

import pytest
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from medics.models import (
    BranchTechnician,
    Facility,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
    TestStatus,
)
from medics.services.history import forgetting
from medics.services.referrals import set_referral_status, set_test_status
from tests.factories import FacilityBranchFactory, FacilityFactory, TechnicianFactory
from tests.support.concurrency import at_once, while_open

pytestmark = pytest.mark.django_db(transaction=True)

PENDING, RECEIVED, COMPLETED = TestStatus.values


def putting(client, route, row_id, status):
    url = reverse(f"medics:{route}", args=[row_id])
    return lambda: client.put(url, {"status": status}).status_code


def setting_test(client, test, status):
    return putting(client, "update-test-status", test.id, status)


def setting_referral(client, referral, status):
    return putting(client, "get-update-referral", referral.id, status)


def moves(**of):
    return list(
        StatusChange.objects.filter(**of).order_by("id").values_list("from_status", "to_status")
    )


def assert_chain(changes, *, start, end):
    """Each change starts where the one before it ended."""
    assert [came_from for came_from, _ in changes] == [start, *(to for _, to in changes[:-1])]
    assert ([start] + [to for _, to in changes])[-1] == end


@pytest.mark.parametrize("attempt", range(2))
def test_of_ten_clients_who_complete_one_test_one_succeeds(signed_in, kofi, referral, attempt):
    test = referral.tests.first()
    codes = at_once(call, [setting_test(signed_in(kofi), test, COMPLETED) for _ in range(10)])
    assert sorted(codes) == [200] + [400] * 9
    assert moves(referral_test=test) == [(PENDING, COMPLETED)]


@pytest.mark.parametrize("attempt", range(2))
def test_of_ten_clients_who_complete_one_referral_all_succeed_and_one_changes_it(
    signed_in, kofi, referral, attempt
):
    referral.tests.update(status=COMPLETED, completed_at=timezone.now())
    codes = at_once(
        call, [setting_referral(signed_in(kofi), referral, COMPLETED) for _ in range(10)]
    )
    assert codes == [200] * 10
    assert moves(referral_test=None) == [(PENDING, COMPLETED)]


@pytest.mark.parametrize("attempt", range(2))
def test_a_completed_referral_never_has_an_open_test(signed_in, ama, kofi, referral, attempt):
    referral.tests.update(status=COMPLETED, completed_at=timezone.now())
    with forgetting():
        StatusChange.objects.all().delete()
    tests = list(referral.tests.all())
    codes = at_once(
        call,
        [
            setting_referral(signed_in(ama), referral, COMPLETED),
            *(setting_test(signed_in(kofi), test, PENDING) for test in tests),
        ],
    )
    referral.refresh_from_db()
    open_tests = referral.tests.exclude(status=COMPLETED).count()
    if referral.status == COMPLETED:
        assert codes == [200, 400, 400]
        assert open_tests == 0
    else:
        assert codes[0] == 400
        assert codes.count(200) == open_tests > 0
    assert len(moves()) == codes.count(200)


def test_a_test_cannot_go_back_while_its_referral_is_being_completed(
    signed_in, ama, kofi, referral
):
    referral.tests.update(status=COMPLETED, completed_at=timezone.now())
    code = while_open(
        lambda: set_referral_status(referral_id=referral.pk, status=TestStatus.COMPLETED),
        setting_test(signed_in(kofi), referral.tests.first(), PENDING),
    )
    assert code == 400
    assert set(referral.tests.values_list("status", flat=True)) == {COMPLETED}


def test_a_referral_cannot_be_completed_while_a_test_of_it_is_going_back(
    signed_in, ama, kofi, referral
):
    referral.tests.update(status=COMPLETED, completed_at=timezone.now())
    code = while_open(
        lambda: set_test_status(test=referral.tests.first(), status=TestStatus.PENDING),
        setting_referral(signed_in(ama), referral, COMPLETED),
    )
    assert code == 400
    referral.refresh_from_db()
    assert referral.status == PENDING


def test_flips_of_a_referral_from_many_threads_are_a_chain(signed_in, ama, kofi, efua, referral):
    clients = [signed_in(user) for user in (ama, kofi, efua) for _ in range(2)]

    def flipping(client, first, second):
        def flip():
            return [setting_referral(client, referral, status)() for status in (first, second) * 3]

        return flip

    codes = at_once(
        call,
        [
            flipping(client, *((RECEIVED, PENDING) if number % 2 else (PENDING, RECEIVED)))
            for number, client in enumerate(clients)
        ],
    )
    assert {code for of_one in codes for code in of_one} == {200}
    referral.refresh_from_db()
    changes = moves(referral_test=None)
    assert_chain(changes, start=PENDING, end=referral.status)
    assert all(came_from != to for came_from, to in changes)


def test_changes_of_one_test_from_many_threads_are_a_chain(signed_in, kofi, referral):
    test = referral.tests.first()
    clients = [signed_in(kofi) for _ in range(6)]

    def setting_each(client, statuses):
        return lambda: [setting_test(client, test, status)() for status in statuses]

    orders = [TestStatus.values[turn:] + TestStatus.values[:turn] for turn in (0, 1, 2)] * 2
    codes = at_once(
        call,
        [setting_each(client, order * 2) for client, order in zip(clients, orders, strict=True)],
    )
    answers = [code for of_one in codes for code in of_one]
    assert set(answers) <= {200, 400}
    changes = moves(referral_test=test)
    assert len(changes) == answers.count(200)
    test.refresh_from_db()
    assert_chain(changes, start=PENDING, end=test.status)


def test_each_change_at_once_names_its_own_user(signed_in, ama, kofi, referral, blood_count):
    count = referral.tests.get(test=blood_count)
    sickling = referral.tests.exclude(pk=count.pk).get()
    at_once(
        call,
        [
            setting_test(signed_in(ama), count, RECEIVED),
            setting_test(signed_in(kofi), sickling, RECEIVED),
        ],
    )
    who = dict(StatusChange.objects.values_list("referral_test", "changed_by"))
    assert who == {count.id: ama.id, sickling.id: kofi.id}


def referring(client, branch, test, **fields):
    body = {"tests": [test.id], "branch_id": branch.id, **fields}
    return lambda: client.post(reverse("medics:create-referral"), body).json()


@pytest.mark.parametrize("attempt", range(2))
def test_a_new_patient_whom_two_practitioners_refer_at_once_is_one(
    signed_in, ama, yaw, branch, blood_count, attempt
):
    spellings = [("Akosua Mensah", "0244123456"), ("AKOSUA  mensah", "+233 24 412 3456")]
    answers = at_once(
        call,
        [
            referring(
                signed_in(user),
                branch,
                blood_count,
                patient_full_name_or_id=name,
                patient_contact_number=number,
            )
            for user, (name, number) in zip((ama, yaw), spellings, strict=True)
        ],
    )
    assert [answer["status"] for answer in answers] == ["success"] * 2
    patient = Patient.objects.get()
    assert patient.referrals.count() == 2


@pytest.mark.parametrize("attempt", range(2))
def test_a_new_identifier_that_one_practitioner_sends_twice_at_once_is_one_patient(
    signed_in, ama, branch, blood_count, attempt
):
    at_once(
        call,
        [
            referring(
                signed_in(ama),
                branch,
                blood_count,
                patient_id="GHA-123",
                clinical_notes=f"Visit {visit}",
            )
            for visit in range(4)
        ],
    )
    assert Patient.objects.get().referrals.count() == 4


def test_ten_referrals_at_once_are_all_stored(signed_in, ama, branch, blood_count):
    answers = at_once(
        call,
        [
            referring(
                signed_in(ama),
                branch,
                blood_count,
                patient_full_name_or_id="Akosua Mensah",
                clinical_notes=f"Visit {visit}",
            )
            for visit in range(10)
        ],
    )
    ids = {answer["data"]["referral_id"] for answer in answers}
    assert set(Referral.objects.values_list("id", flat=True)) == ids
    assert len(ids) == 10
    assert ReferralTest.objects.count() == 10
    # They share a name and have no number: ten people, for all anyone knows.
    assert Patient.objects.count() == 10


def assigning(person, branch):
    def assign():
        try:
            BranchTechnician.objects.create(user=person, branch=branch)
        except IntegrityError as error:
            return error.__cause__.diag.constraint_name
        return "assigned"

    return assign


def test_of_two_facilities_that_take_on_one_person_at_once_one_does():
    person = TechnicianFactory()
    results = at_once(call, [assigning(person, FacilityBranchFactory()) for _ in range(2)])
    assert sorted(results) == ["assigned", "one_facility_per_person"]
    assert person.branch_assignments.count() == 1


def naming(person, facility):
    def name():
        try:
            Facility.objects.filter(pk=facility.pk).update(admin=person)
        except IntegrityError as error:
            return error.__cause__.diag.constraint_name
        return "named"

    return name


@pytest.mark.parametrize("named_first", [True, False])
def test_a_person_is_not_named_by_one_facility_while_another_takes_them_on(named_first):
    person, branch, facility = TechnicianFactory(), FacilityBranchFactory(), FacilityFactory()
    changes = [naming(person, facility), assigning(person, branch)]
    first, second = changes if named_first else reversed(changes)

    assert while_open(first, second) == "one_facility_per_person"
    facility.refresh_from_db()
    assert (facility.admin == person, person.branch_assignments.exists()) == (
        named_first,
        not named_first,
    )


def test_a_facility_cannot_take_on_a_person_whom_another_is_taking_on():
    person = TechnicianFactory()
    first, second = FacilityBranchFactory(), FacilityBranchFactory()
    result = while_open(assigning(person, first), assigning(person, second))
    assert result == "one_facility_per_person"
    assert person.branch_assignments.get().branch == first
