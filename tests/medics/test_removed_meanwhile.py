"""What is removed between two statements of one request is answered as what was never there."""

import pytest
from django.urls import reverse
from rest_framework.exceptions import ValidationError

from _tetradx.api.exceptions import Conflict
from authentication.models import User
from authentication.services import open_checked_session
from medics.models import FacilityBranch, Patient, Referral
from medics.services import referrals as services
from medics.services.facilities import deactivate_branch
from medics.services.history import forgetting
from medics.services.referrals import create_referral
from medics.services.retention import remove
from medics.services.technicians import set_place_of_work
from medics.views import referrals as views
from tests.factories import PASSWORD, FacilityBranchFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def then(monkeypatch):
    """Has something happen as soon as a function, by its owner and name, has returned."""

    def then(owner, name, happens):
        called = getattr(owner, name)

        def call(*args, **kwargs):
            answer = called(*args, **kwargs)
            happens()
            return answer

        monkeypatch.setattr(owner, name, call)

    return then


@pytest.fixture
def retention(referral):
    def retention():
        with forgetting():
            remove([referral.patient_id])

    return retention


def test_a_referral(signed_in, kofi, referral, retention, then):
    then(views, "one_referral", retention)
    path = reverse("medics:get-update-referral", args=[referral.pk])
    answer = signed_in(kofi).put(path, {"status": "Received"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Referral does not exist.")


def test_a_test_with_its_referral(signed_in, kofi, referral, retention, then):
    then(views.UpdateTestStatusView, "get_test", retention)
    path = reverse("medics:update-test-status", args=[referral.tests.first().pk])
    answer = signed_in(kofi).put(path, {"status": "Completed"})
    detail = "Referral test with the given ID does not exist."
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


def test_a_test_of_the_catalogue(signed_in, ama, branch, blood_count, then):
    then(services, "find_or_create_patient", blood_count.delete)
    answer = signed_in(ama).post(
        reverse("medics:create-referral"),
        {"patient_full_name_or_id": "Yaa", "tests": [blood_count.pk], "branch_id": branch.pk},
    )
    assert answer.status_code == 400
    detail = {"test_id": ["Test with the given ID does not exist."]}
    assert answer.json()["detail"] == detail
    assert not Patient.objects.exists()
    assert not Referral.objects.exists()


def test_a_branch(laboratory):
    branch = FacilityBranchFactory(facility=laboratory)
    FacilityBranch.objects.filter(pk=branch.pk).delete()
    with pytest.raises(Conflict):
        deactivate_branch(branch=branch)


def test_a_user():
    user = UserFactory()
    User.objects.filter(pk=user.pk).delete()
    assert open_checked_session(user, password=PASSWORD, address="192.0.2.1") is None
    with pytest.raises(Conflict):
        set_place_of_work(user=user, facility=None, branches=[], administers=False)


def test_a_referral_for_no_test_is_refused_by_the_service_too(ama, branch):
    with pytest.raises(ValidationError, match="may not be empty"):
        create_referral(
            practitioner=ama, branch_id=branch.pk, test_ids=[], patient_full_name_or_id="Yaa"
        )
    assert not Patient.objects.exists()
