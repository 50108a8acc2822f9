from contextlib import contextmanager
from unittest import mock

import phonenumbers
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Count, Max, Q
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from _tetradx.values.folding import name_key
from authentication.models import User, UserType
from demo import loading
from demo.logins import ADMINISTRATOR, LOGINS, OPERATOR, PASSWORD, PRACTITIONER, TECHNICIAN
from demo.rows import PatientRow
from medics.choices import TestStatus
from medics.models import (
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    StatusChange,
)

pytestmark = pytest.mark.django_db

UNTIL = "2026-03-16T15:00"


def load_demo(until=UNTIL, **options):
    call_command("load_demo", f"--until={until}", **{"verbosity": 0, **options})


@pytest.fixture
def network():
    load_demo(referrals=200)


@contextmanager
def loaded(**options):
    """The demo network within; afterwards the tables are empty again."""
    with transaction.atomic():
        load_demo(**options)
        yield
        transaction.set_rollback(True)


def rows_loaded(**options):
    with loaded(**options):
        return [list(model.objects.order_by("pk").values_list()) for model in loading.MODELS]


# Loading


def test_the_same_seed_gives_the_same_rows():
    first = rows_loaded(seed=1, referrals=100)
    assert all(first)
    assert rows_loaded(seed=1, referrals=100) == first
    assert rows_loaded(seed=2, referrals=100) != first


def test_the_same_moment_is_the_same_in_any_offset():
    elsewhere = rows_loaded(until="2026-03-16T17:00+02:00", referrals=30)
    assert elsewhere == rows_loaded(until="2026-03-16T15:00", referrals=30)


def test_another_moment_moves_the_times_alone():
    seen = []
    for until in ("2026-03-16T15:00", "2026-03-20T09:00"):
        with loaded(until=until, referrals=100):
            names = list(
                Patient.objects.order_by("id").values_list("full_name_or_id", "contact_key")
            )
            tests = list(ReferralTest.objects.order_by("id").values_list("referral", "test"))
            seen.append((names, tests))
    assert seen[0] == seen[1]


def test_without_a_moment_the_network_is_up_to_date():
    call_command("load_demo", referrals=100, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now() - max(referred_at) < '1 day' FROM medics_referral")
        assert cursor.fetchone() == (True,)


def test_it_refuses_a_database_that_holds_data(network):
    with pytest.raises(CommandError, match="already holds users"):
        load_demo()
    assert Referral.objects.count() == 200


def test_one_user_is_data():
    User.objects.create_user("0201234567", "Secret-1")
    with pytest.raises(CommandError, match="already holds users"):
        load_demo()
    assert not Facility.objects.exists()


def test_if_empty_leaves_a_database_with_data_as_it_is_and_says_so(network, capsys):
    load_demo(if_empty=True, verbosity=1, seed=2)
    output = capsys.readouterr()
    assert output.out == "The database already holds users. No demo data loaded.\n"
    assert output.err == ""
    assert Referral.objects.count() == 200


def test_if_empty_fills_an_empty_database(capsys):
    load_demo(if_empty=True, verbosity=2, referrals=30)
    output = capsys.readouterr()
    assert Referral.objects.count() == 30
    assert "       30 medics_referral\n" in output.out
    assert "rows a second" in output.out
    assert "30/30" in output.err


def test_no_referrals_are_a_network_too():
    load_demo(referrals=0)
    assert Facility.objects.count() == 5
    with pytest.raises(CommandError, match="--referrals"):
        load_demo(referrals=-1)


def test_statements_do_not_grow_with_the_rows():
    def statements(referrals):
        copy_rows = mock.Mock(wraps=loading.copy_rows)  # COPY is in no log of Django's
        with (
            mock.patch.object(loading, "copy_rows", copy_rows),
            CaptureQueriesContext(connection) as queries,
        ):
            rows_loaded(referrals=referrals)
        return len(queries) + copy_rows.call_count

    assert statements(200) == statements(2000) < 60


def test_batches_give_the_same_rows(monkeypatch):
    whole = rows_loaded(referrals=50)
    monkeypatch.setattr(loading, "BATCH_SIZE", 7)
    assert rows_loaded(referrals=50) == whole


def test_ids_go_on_behind_the_loaded_ones(network):
    last = Patient.objects.latest("id").id
    assert Patient.objects.create(full_name_or_id="Abena Osei").id == last + 1


def test_text_reaches_the_database_as_it_is(network):
    awkward = "a\tb\\N\r\nc"
    row = PatientRow(10_000, awkward, "", Facility.objects.first().created_at)
    loading.copy_rows(Patient, [row])
    assert Patient.objects.get(id=10_000).full_name_or_id == awkward


# People and places


@pytest.mark.parametrize("login", LOGINS, ids=lambda login: login.role)
def test_each_demo_login_logs_in(network, anyone, login):
    response = anyone.post(
        reverse("auth:login"), {"phone_number": login.phone_number, "password": PASSWORD}
    )
    assert response.status_code == 200
    assert response.json()["data"]["user_data"]["full_name"] == login.full_name


def test_the_demo_logins_have_their_roles(network):
    def user(login):
        return User.objects.get(phone_number=login.phone_number)

    assert user(PRACTITIONER).user_type == UserType.MEDICAL_PRACTITIONER
    assert user(PRACTITIONER).referrals.exists()

    facility = user(ADMINISTRATOR).administered_facility
    assignment = user(TECHNICIAN).branch_assignments.get()
    assert user(TECHNICIAN).user_type == UserType.LAB_TECHNICIAN
    assert not assignment.is_admin
    assert assignment.branch.facility == facility
    assert assignment.branch.referrals.exists()

    assert user(OPERATOR).is_staff
    assert user(OPERATOR).is_superuser
    assert not User.objects.filter(must_change_password=True).exists()
    assert User.objects.values("password").distinct().count() == 1


def test_every_facility_has_an_administrator_branches_and_a_catalogue(network):
    facilities = Facility.objects.annotate(
        branch_count=Count("branches", distinct=True),
        test_type_count=Count("test_types", distinct=True),
    )
    assert len(facilities) == 5
    for facility in facilities:
        assert 2 <= facility.branch_count <= 4
        assert facility.test_type_count >= 8
        assert facility.admin.user_type == UserType.LAB_TECHNICIAN
        assert facility.admin.branch_assignments.get().is_admin
        assert facility.admin.branch_assignments.get().branch.facility == facility
    catalogues = {
        frozenset(facility.test_types.values_list("tests__name", flat=True))
        for facility in facilities
    }
    assert len(catalogues) == 5

    technicians = Count("assignments", filter=Q(assignments__is_admin=False))
    for branch in FacilityBranch.objects.annotate(technicians=technicians):
        assert 2 <= branch.technicians <= 3


def test_phone_numbers_are_valid_in_ghana(network):
    numbers = [
        *User.objects.values_list("phone_number", flat=True),
        *Facility.objects.values_list("contact_number", flat=True),
        *Patient.objects.exclude(contact_number="").values_list("contact_number", flat=True),
    ]
    for number in numbers:
        parsed = phonenumbers.parse(number, "GH")
        assert phonenumbers.is_valid_number_for_region(parsed, "GH"), number


def test_derived_columns_are_those_that_a_save_derives(network):
    for row in [*User.objects.all(), *Patient.objects.all()]:
        derived = [field for field in row._meta.concrete_fields if hasattr(field, "derive")]
        stored = [getattr(row, field.attname) for field in derived]
        assert derived
        assert stored == [field.pre_save(row, add=False) for field in derived]


# Referrals


def test_referrals_and_their_tests_come_in_every_status(network):
    assert set(Referral.objects.values_list("status", flat=True)) == set(TestStatus)
    assert set(ReferralTest.objects.values_list("status", flat=True)) == set(TestStatus)


def test_recent_referrals_are_more_often_open(network):
    def open_share(referrals):
        return referrals.exclude(status=TestStatus.COMPLETED).count() / referrals.count()

    newest = Referral.objects.latest("referred_at").referred_at
    recent = Q(referred_at__date=newest.date())
    assert open_share(Referral.objects.filter(recent)) > 0.5
    assert open_share(Referral.objects.exclude(recent)) < 0.25


def test_a_referral_has_one_to_five_tests(network):
    numbers = set(Referral.objects.annotate(n=Count("tests")).values_list("n", flat=True))
    assert numbers == {1, 2, 3, 4, 5}


def test_a_referral_is_completed_after_all_of_its_tests(network):
    completed = Referral.objects.filter(status=TestStatus.COMPLETED).annotate(
        open_tests=Count("tests", filter=~Q(tests__status=TestStatus.COMPLETED)),
        last_result_at=Max("tests__completed_at"),
    )
    for referral in completed:
        assert referral.open_tests == 0
        assert referral.last_result_at < referral.completed_at == referral.updated_at


def test_open_referrals_have_tests_under_way(network):
    open_referrals = Referral.objects.exclude(status=TestStatus.COMPLETED)
    assert open_referrals.filter(tests__status=TestStatus.RECEIVED).exists()
    assert open_referrals.filter(tests__status=TestStatus.COMPLETED).exists()


def test_completed_at_is_set_exactly_when_completed(network):
    for model in (Referral, ReferralTest):
        completed = Q(status=TestStatus.COMPLETED)
        assert not model.objects.filter(completed, completed_at=None).exists()
        assert not model.objects.exclude(completed).exclude(completed_at=None).exists()


def test_turnaround_takes_hours_to_days(network):
    hours = [test.turnaround_time() for test in ReferralTest.objects.exclude(completed_at=None)]
    assert 0.2 < min(hours) < 6
    assert 24 < max(hours) < 24 * 30


def test_the_history_leads_to_the_status_of_everything(network):
    status = {}
    changed_at = {}
    for change in StatusChange.objects.order_by("id").select_related("referral"):
        thing = (change.referral_id, change.referral_test_id)
        assert change.from_status == status.get(thing, TestStatus.PENDING)
        assert change.changed_at >= changed_at.get(change.referral_id, change.referral.referred_at)
        status[thing] = change.to_status
        changed_at[change.referral_id] = change.changed_at

    for referral in Referral.objects.all():
        assert referral.status == status.get((referral.id, None), TestStatus.PENDING)
    for test in ReferralTest.objects.all():
        assert test.status == status.get((test.referral_id, test.id), TestStatus.PENDING)


def test_the_history_is_made_by_the_staff_of_the_branch(network):
    for change in StatusChange.objects.select_related("referral", "changed_by").prefetch_related(
        "changed_by__branch_assignments"
    ):
        branches = {each.branch_id for each in change.changed_by.branch_assignments.all()}
        assert change.referral.facility_branch_id in branches


def test_patients_are_the_same_only_by_the_rules(network):
    patients = Patient.objects.annotate(
        referral_count=Count("referrals"),
        practitioner_count=Count("referrals__referred_by", distinct=True),
    ).filter(referral_count__gt=1)
    assert patients.exists()
    for patient in patients:
        assert patient.practitioner_count == 1
        assert patient.contact_number or any(map(str.isdigit, patient.full_name_or_id))
    known = Patient.objects.exclude(contact_key="")
    keys = {(name_key(patient.full_name_or_id), patient.contact_key) for patient in known}
    assert len(keys) == known.count()
    assert Patient.objects.filter(full_name_or_id__startswith="GHA-").exists()
    assert Patient.objects.filter(full_name_or_id__startswith="OPD/").exists()
