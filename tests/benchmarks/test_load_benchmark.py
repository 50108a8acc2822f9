import re
from collections import Counter

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Q
from django.urls import reverse

from authentication.models import User
from benchmarks import network
from benchmarks.loading import load, owned
from medics.choices import TestStatus
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    Test,
    TestType,
)
from tests.factories import PatientFactory, PractitionerFactory, ReferralFactory

REFERRALS = 3_000


@pytest.fixture
def loaded(db):
    load(REFERRALS)


def branch_of(phone_number):
    return FacilityBranch.objects.get(assignments__user__phone_number=phone_number)


def at(branch):
    return Referral.objects.filter(facility_branch=branch)


def share(referrals):
    return referrals.count() / REFERRALS


# The command


@pytest.mark.django_db(transaction=True)
def test_the_command_fills_an_empty_database():
    call_command("load_benchmark", referrals=50, verbosity=0)
    assert Referral.objects.count() == 50
    assert ReferralTest.objects.count() == 150
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_vacuum FROM pg_stat_user_tables WHERE relname = 'medics_test'")
        assert cursor.fetchone() != (None,)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("30s",)


@pytest.mark.django_db
def test_the_command_refuses_a_database_with_users():
    ama = PractitionerFactory()
    with pytest.raises(CommandError, match="already holds users"):
        call_command("load_benchmark", referrals=50, verbosity=0)
    assert list(User.objects.all()) == [ama]


@pytest.mark.django_db
def test_the_command_refuses_to_run_in_production(settings):
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        call_command("load_benchmark", referrals=50, verbosity=0)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_the_command_refuses_no_referrals():
    with pytest.raises(CommandError, match="1 or more"):
        call_command("load_benchmark", referrals=0, verbosity=0)


@pytest.mark.django_db
def test_the_same_rows_come_each_time():
    def rows():
        with transaction.atomic():
            load(60)
            models = (Patient, Referral, ReferralTest)
            loaded = [list(model.objects.order_by("id").values_list()) for model in models]
            transaction.set_rollback(True)
            return loaded

    assert rows() == rows()


# The network


def test_the_network_has_the_size_that_was_asked_for(loaded):
    assert Counter(User.objects.values_list("user_type", flat=True)) == {
        "Medical Practitioner": 500,
        "Lab Technician": 200,
    }
    assert Facility.objects.count() == 20
    for model, per_facility in ((FacilityBranch, 5), (TestType, 10)):
        counts = Counter(model.objects.values_list("facility", flat=True))
        assert set(counts.values()) == {per_facility}, model
    assert set(Counter(Test.objects.values_list("test_type", flat=True)).values()) == {12}
    assert Patient.objects.count() == 0.3 * REFERRALS
    assert ReferralTest.objects.count() == 3 * REFERRALS


def test_one_test_in_six_is_a_panel(loaded):
    panels = Q(name__contains="PANEL")
    assert Test.objects.filter(panels).count() * 6 == Test.objects.count()
    ordered = ReferralTest.objects.filter(test__name__contains="PANEL").count()
    assert 0.15 < ordered / ReferralTest.objects.count() < 0.18


def test_one_patient_in_a_hundred_is_a_quansah(loaded):
    def share_of(word):
        named = Patient.objects.filter(full_name_or_id__contains=word)
        return named.count() / Patient.objects.count()

    assert 0.003 < share_of("Quansah") < 0.03
    assert 0.28 < share_of("Nana") < 0.39


@pytest.mark.parametrize("word", ["quansah", "nana", "panel", "kw"])
def test_what_is_searched_for_is_in_no_other_name(word, loaded):
    names = [
        *User.objects.values_list("full_name", flat=True),
        *Facility.objects.values_list("name", flat=True),
        *FacilityBranch.objects.values_list("name", flat=True),
        *TestType.objects.values_list("name", flat=True),
    ]
    if word != "panel":
        names += Test.objects.values_list("name", flat=True)
    assert not [name for name in names if word in name.lower()]
    if word != "nana":
        assert word not in f"{network.MIDDLE_NAMES} {network.SURNAMES}".lower()


def test_everybody_logs_in_with_the_one_password(loaded, anyone):
    for phone_number in (network.PRACTITIONER_OF_100, network.ADMINISTRATOR):
        response = anyone.post(
            reverse("auth:login"), {"phone_number": phone_number, "password": "Passw0rd!x"}
        )
        assert response.status_code == 200
    assert User.objects.values("password").distinct().count() == 1


def test_derived_columns_are_those_that_a_save_derives(loaded):
    for row in [*User.objects.all(), *Patient.objects.all()]:
        derived = [field for field in row._meta.concrete_fields if hasattr(field, "derive")]
        stored = [getattr(row, field.attname) for field in derived]
        assert derived
        assert stored == [field.pre_save(row, add=False) for field in derived]


# Who owns how much


def test_practitioners_own_what_their_numbers_promise(loaded):
    assert [owned(n, referrals=1_000_000) for n in (2_000, 20_000, 100)] == [2_000, 20_000, 100]
    for phone_number, number in (
        (network.PRACTITIONER_OF_2_000, 600),
        (network.PRACTITIONER_OF_20_000, 600),
        (network.PRACTITIONER_OF_100, 100),
    ):
        assert Referral.objects.filter(referred_by__phone_number=phone_number).count() == number
    numbers = Counter(Referral.objects.values_list("referred_by__phone_number", flat=True))
    assert {numbers[other] for other in network.PRACTITIONERS[3:]} <= {3, 4}


def test_one_technician_is_alone_at_a_branch_with_50_000(loaded):
    branch = branch_of("0300000001")
    assert branch.assignments.count() == 1
    assert at(branch).count() == owned(50_000, referrals=REFERRALS) == REFERRALS / 5
    assert owned(50_000, referrals=300_000) == 50_000


def test_one_technician_works_at_a_branch_with_a_third_of_all(loaded):
    assert at(branch_of("0300000002")).count() == REFERRALS / 3


def test_one_technician_works_at_all_branches_of_a_facility_and_one_administers_it(loaded):
    branches = BranchTechnician.objects.filter(user__phone_number="0300000003")
    facility = Facility.objects.get(admin__phone_number="0300000004")
    assert {assignment.branch for assignment in branches} == set(facility.branches.all())
    assert branch_of("0300000002").facility == facility
    assert User.objects.get(phone_number="0300000004").branch_assignments.count() == 0


def test_the_other_branches_share_evenly_and_have_staff(loaded):
    special = [branch_of("0300000001"), branch_of("0300000002")]
    others = FacilityBranch.objects.exclude(id__in=[branch.id for branch in special])
    counts = others.annotate(referral_count=Count("referrals")).values_list(
        "referral_count", flat=True
    )
    assert len(counts) == 98
    assert max(counts) - min(counts) <= 1
    assert not FacilityBranch.objects.filter(assignments=None).exists()


# Referrals


def test_ids_are_those_of_the_service(loaded):
    for referral_id in Referral.objects.values_list("id", flat=True):
        assert re.fullmatch("[A-Z0-9]{10}", referral_id)


def test_three_tests_of_the_facility_in_every_referral(loaded):
    counts = Referral.objects.annotate(test_count=Count("tests")).values_list("test_count")
    assert set(counts) == {(3,)}
    elsewhere = ~Q(test__test_type__facility=F("referral__facility_branch__facility"))
    assert not ReferralTest.objects.filter(elsewhere).exists()


def test_the_database_still_refuses_a_test_of_another_facility(loaded):
    first, second = Facility.objects.order_by("id")[:2]
    referral = at(first.branches.first()).first()
    test = Test.objects.filter(test_type__facility=second).first()
    with pytest.raises(IntegrityError, match="does not offer"):
        ReferralTest.objects.create(referral=referral, test=test)


def test_statuses_are_as_many_of_each_and_tests_are_done_before_their_referral(loaded):
    for status in TestStatus.values:
        assert 0.30 < share(Referral.objects.filter(status=status)) < 0.37
        assert ReferralTest.objects.filter(status=status).exists()
    open_tests = ReferralTest.objects.exclude(status=TestStatus.COMPLETED)
    assert not open_tests.filter(referral__status=TestStatus.COMPLETED).exists()


def test_status_branch_practitioner_and_time_are_independent_of_each_other(loaded):
    completed = Q(status=TestStatus.COMPLETED)
    third = Q(facility_branch=branch_of("0300000002"))
    busy = Q(referred_by__phone_number=network.PRACTITIONER_OF_20_000)
    late = Q(referred_at__gte=network.SINCE + (network.UNTIL - network.SINCE) / 2)
    named = Q(patient__full_name_or_id__contains="Nana")
    panel = Q(id__in=ReferralTest.objects.filter(test__name__contains="PANEL").values("referral"))
    conditions = [completed, third, busy, late, named, panel]
    for n, one in enumerate(conditions):
        for other in conditions[n + 1 :]:
            expected = share(Referral.objects.filter(one)) * share(Referral.objects.filter(other))
            both = share(Referral.objects.filter(one & other))
            assert abs(both - expected) < 0.025, (one, other)


def test_times_lie_in_the_two_years(loaded):
    times = Referral.objects.order_by("referred_at").values_list("referred_at", flat=True)
    assert times[0] >= network.SINCE
    assert times.last() <= network.UNTIL
    early = Referral.objects.filter(completed_at__lt=F("referred_at"))
    assert not early.exists()


def test_new_rows_get_new_ids(loaded):
    new = ReferralFactory(patient=PatientFactory())
    assert new.patient_id == 0.3 * REFERRALS + 1
    assert new.tests.get().id == 3 * REFERRALS + 1
