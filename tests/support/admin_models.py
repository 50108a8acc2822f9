"""Each model of the admin site: how to make a row of it, and the addresses of its pages."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from authentication.models import Session, User
from medics.models import Facility, HistoryEntry, Patient, Referral, Test, TestType
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    PatientFactory,
    PractitionerFactory,
    ReferralFactory,
    TechnicianFactory,
    TestFactory,
    TestTypeFactory,
)


def make_user():
    return TechnicianFactory(branches=[FacilityBranchFactory(facility=make_facility())])


def make_facility():
    facility = FacilityFactory(admin=TechnicianFactory())
    FacilityBranchFactory(facility=facility)
    return facility


def make_session():
    expires_at = timezone.now() + timedelta(hours=1)
    return Session.objects.create(user=PractitionerFactory(), expires_at=expires_at)


def make_test():
    return TestFactory(test_type=TestTypeFactory(facility=make_facility()))


def make_patient():
    patient = PatientFactory()
    ReferralFactory(patient=patient)
    return patient


def make_history_entry():
    facility = make_facility()
    return HistoryEntry.objects.get(subject_id=facility.pk, row_table="medics_facility")


def make_group():
    return Group.objects.create(name=f"Group {Group.objects.count()}")


# For each registered model: what makes a row, and the search text that finds that row in its list.
MODELS = {
    Facility: (make_facility, lambda row: row.name),
    Group: (make_group, lambda row: row.name),
    HistoryEntry: (make_history_entry, lambda row: row.subject_id),
    Patient: (make_patient, lambda row: row.full_name_or_id),
    Referral: (ReferralFactory, lambda row: row.id),
    Session: (make_session, lambda row: row.user.phone_number),
    # Quoted, since its single words may also be in another row's name and facility.
    Test: (make_test, lambda row: f'"{row.name}"'),
    TestType: (lambda: make_test().test_type, lambda row: f'"{row.name}"'),
    User: (make_user, lambda row: row.full_name),
}

every_model = pytest.mark.parametrize(
    "model", admin.site._registry, ids=lambda model: model._meta.model_name
)


def url_of(model, page: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)
