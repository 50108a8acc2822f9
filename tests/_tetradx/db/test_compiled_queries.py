"""Querysets compiled once answer as the ordinary ones do."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import BigIntegerField, CharField, UUIDField
from django.db.models.functions import Lower

from _tetradx.db.compiled_queries import Parameter, instances_of, rows_of, sql_of
from authentication.models import Session, User
from authentication.services import open_session
from medics.models import Facility, FacilityBranch, Patient, Referral, ReferralTest, Test
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    PatientFactory,
    ReferralFactory,
    TestFactory,
)
from tests.support.statements import statements

pytestmark = pytest.mark.django_db

NAME = Parameter("name", CharField())
HOSTILE = [
    "'; DELETE FROM medics_patient; --",
    "' OR '1'='1",
    "%(name)s",
    "%s %% %",
    "\\",
    "\\'",
    '"',
    "$$",
    "E'\\x27'",
    "Ɔbɛn",
    "",
]


def fields_of(instance):
    return {field.attname: getattr(instance, field.attname) for field in instance._meta.fields}


# Parameters


def test_a_parameter_is_given_when_the_statement_runs():
    esi, yaw = PatientFactory(full_name_or_id="Esi"), PatientFactory(full_name_or_id="Yaw")
    sql = sql_of(Patient.objects.filter(full_name_or_id=NAME).values("pk"))

    assert rows_of(sql, {"name": "Esi"}) == [(esi.pk,)]
    assert rows_of(sql, {"name": "Yaw"}) == [(yaw.pk,)]
    assert rows_of(sql, {"name": "Ama"}) == []


def test_a_parameter_can_stand_in_several_places():
    esi = PatientFactory(full_name_or_id="Esi", contact_number="Esi")
    PatientFactory(full_name_or_id="Esi", contact_number="Yaw")
    sql = sql_of(Patient.objects.filter(full_name_or_id=NAME, contact_number=NAME).values("pk"))

    assert rows_of(sql, {"name": "Esi"}) == [(esi.pk,)]


def test_a_parameter_goes_where_the_rules_of_a_queryset_put_it(ama, kofi, efua, yaw, referral):
    user = Parameter("user", UUIDField())
    visible = sql_of(Referral.objects.visible_to(user).values("pk"))
    worked_by = sql_of(FacilityBranch.objects.worked_by(user).values("pk"))

    for person in (ama, kofi, efua, yaw):
        assert set(rows_of(visible, {"user": person.pk})) == set(
            Referral.objects.visible_to(person).values_list("pk")
        )
        assert set(rows_of(worked_by, {"user": person.pk})) == set(
            FacilityBranch.objects.worked_by(person).values_list("pk")
        )


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_given_is_never_read_as_sql(text):
    PatientFactory(full_name_or_id="Esi")
    named = PatientFactory(full_name_or_id=text)
    sql = sql_of(Patient.objects.filter(full_name_or_id=NAME).values("pk"))

    assert rows_of(sql, {"name": text}) == [(named.pk,)]
    assert Patient.objects.count() == 2


@pytest.mark.parametrize("lookup", ["contains", "icontains", "startswith", "iendswith"])
def test_a_parameter_can_be_looked_for_within_a_text(lookup):
    PatientFactory(full_name_or_id="Esi Badu")
    found = PatientFactory(full_name_or_id="50%")
    sql = sql_of(Patient.objects.filter(**{f"full_name_or_id__{lookup}": NAME}).values("pk"))

    assert rows_of(sql, {"name": "50%"}) == [(found.pk,)]


# Constants


@pytest.mark.parametrize("text", HOSTILE)
def test_a_constant_stays_what_it_is(text):
    PatientFactory(full_name_or_id="Esi", contact_number="1")
    named = PatientFactory(full_name_or_id=text, contact_number="1")
    PatientFactory(full_name_or_id=text, contact_number="2")
    number = Parameter("number", CharField())
    patients = Patient.objects.filter(full_name_or_id=text, contact_number=number)

    assert rows_of(sql_of(patients.values("pk")), {"number": "1"}) == [(named.pk,)]


@pytest.mark.parametrize("text", ["%", "50%", "_", "\\", "'", "ɔb"])
def test_a_constant_can_be_looked_for_within_a_text(text):
    PatientFactory(full_name_or_id="Esi Badu")
    found = PatientFactory(full_name_or_id=f"Esi {text} Badu")
    sql = sql_of(Patient.objects.filter(full_name_or_id__icontains=text).values("pk"))

    assert rows_of(sql, {}) == [(found.pk,)]


def test_constants_of_every_kind_stay_what_they_are(efua):
    number, moment, price = 2**40, datetime(2026, 3, 10, 12, 30, 1, 5, UTC), Decimal("12.50")
    facility = FacilityFactory(id=number, admin=efua, created_at=moment)
    test = TestFactory(price=price)
    other = uuid4()
    closed = FacilityBranchFactory(is_active=False)
    FacilityBranchFactory()
    for queryset, expected in [
        (Facility.objects.filter(created_at=moment), facility.pk),
        (Facility.objects.filter(admin__in=[efua.pk, other]), facility.pk),
        (Facility.objects.filter(pk__in=[number, 7], admin=efua.pk), facility.pk),
        (Facility.objects.filter(created_at__date=moment.date()), facility.pk),
        (Test.objects.filter(price=price), test.pk),
        (FacilityBranch.objects.filter(is_active=False), closed.pk),
    ]:
        assert rows_of(sql_of(queryset.values("pk")), {}) == [(expected,)]


# Instances


def test_instances_are_the_ordinary_ones(referral):
    for queryset in [
        User.objects.order_by("pk"),
        Facility.objects.order_by("pk"),
        Referral.objects.order_by("pk"),
        ReferralTest.objects.order_by("pk"),
    ]:
        compiled = instances_of(queryset)({})
        assert [fields_of(instance) for instance in compiled] == [
            fields_of(instance) for instance in queryset
        ]
        assert compiled
        for instance in compiled:
            assert type(instance) is queryset.model
            assert instance._state.db == connection.alias
            assert not instance._state.adding


def test_related_instances_come_with_them(referral):
    by_id = Parameter("id", CharField())
    referrals = Referral.objects.select_related(
        "patient", "facility_branch__facility__admin", "referred_by"
    )
    ask = instances_of(referrals.filter(pk=by_id))

    with statements() as sent:
        [compiled] = ask({"id": referral.pk})
        patient, practitioner = compiled.patient, compiled.referred_by
        facility = compiled.facility_branch.facility
        admin = facility.admin
    assert len(sent) == 1

    ordinary = referrals.get(pk=referral.pk)
    assert fields_of(compiled) == fields_of(ordinary)
    assert fields_of(patient) == fields_of(ordinary.patient)
    assert fields_of(practitioner) == fields_of(ordinary.referred_by)
    assert fields_of(facility) == fields_of(ordinary.facility_branch.facility)
    assert fields_of(admin) == fields_of(ordinary.facility_branch.facility.admin)
    assert ask({"id": "ABSENT"}) == []


def test_a_relation_to_nothing_is_none_without_another_statement():
    FacilityFactory(admin=None)
    ask = instances_of(Facility.objects.select_related("admin"))

    with statements() as sent:
        [facility] = ask({})
        assert facility.admin is None
    assert len(sent) == 1


def test_a_relation_from_the_other_side_that_is_not_there_is_known_not_to_be(ama, efua, laboratory):
    for person in (ama, efua):
        open_session(user=person)
    sessions = Session.objects.select_related("user__administered_facility").order_by("created_at")
    ask = instances_of(sessions)

    with statements() as sent:
        of_ama, of_efua = ask({})
        assert not hasattr(of_ama.user, "administered_facility")
        assert of_efua.user.administered_facility == laboratory
    assert len(sent) == 1
    assert fields_of(of_efua.user.administered_facility) == fields_of(laboratory)


def test_columns_that_are_left_out_are_asked_for_when_they_are_read(laboratory):
    ask = instances_of(Facility.objects.only("id"))

    with statements() as sent:
        [facility] = ask({})
        assert facility.name == "Korle Laboratory"
    assert len(sent) == 2


def test_every_asking_gives_instances_of_its_own(laboratory):
    number = Parameter("id", BigIntegerField())
    ask = instances_of(Facility.objects.filter(pk=number))
    [first] = ask({"id": laboratory.pk})
    first.name = "Changed, not saved"
    Facility.objects.update(name="Ridge")

    [second] = ask({"id": laboratory.pk})

    assert second.name == "Ridge"


def test_the_order_and_the_limit_of_the_queryset_are_kept():
    for name in ("Ridge", "achimota", "Legon"):
        FacilityFactory(name=name)
    queryset = Facility.objects.order_by(Lower("name"))[:2]

    assert [facility.name for facility in instances_of(queryset)({})] == ["achimota", "Legon"]


def test_a_referral_of_another_is_no_instance(ama, referral):
    ReferralFactory()
    ask = instances_of(Referral.objects.filter(referred_by=Parameter("user", UUIDField())))

    assert ask({"user": ama.pk}) == [referral]
