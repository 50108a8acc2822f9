import pytest
from django.urls import reverse

from medics.choices import TestStatus
from tests.factories import FacilityBranchFactory
from tests.support.statements import statements

pytestmark = pytest.mark.django_db


def url_of(branch_id):
    return f"/api/medics/branches/deactivate/{branch_id}"


def test_the_path_is_the_contracts():
    assert reverse("medics:get-branches", kwargs={"branch_id": 7}) == url_of(7)


def test_the_administrator_closes_a_branch(signed_in, efua, branch):
    other = FacilityBranchFactory(facility=branch.facility)

    answer = signed_in(efua).delete(url_of(branch.id))

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Facility branch deleted successfully",
    }
    branch.refresh_from_db()
    other.refresh_from_db()
    assert not branch.is_active
    assert other.is_active


def test_its_referrals_are_kept_and_can_be_finished(signed_in, efua, kofi, branch, referral):
    signed_in(efua).delete(url_of(branch.id))

    referral.refresh_from_db()
    assert referral.facility_branch == branch
    assert referral.tests.count() == 2
    answer = signed_in(kofi).put(
        reverse("medics:get-update-referral", args=[referral.id]), {"status": TestStatus.RECEIVED}
    )
    assert answer.status_code == 200


def test_its_staff_keep_their_accounts(signed_in, efua, kofi, branch):
    signed_in(efua).delete(url_of(branch.id))

    assert signed_in(kofi).get(reverse("medics:get-technician-referrals")).status_code == 200


def test_closing_a_branch_twice_changes_nothing(signed_in, efua, branch):
    client = signed_in(efua)
    client.delete(url_of(branch.id))

    assert client.delete(url_of(branch.id)).status_code == 200
    branch.refresh_from_db()
    assert not branch.is_active


def test_another_facilitys_branch_is_unknown(signed_in, efua, laboratory):
    branch = FacilityBranchFactory()

    answer = signed_in(efua).delete(url_of(branch.id))

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Facility branch with the given ID does not exist."
    branch.refresh_from_db()
    assert branch.is_active


@pytest.mark.parametrize(
    "unknown",
    ["0", "999999", "9" * 19, "9" * 400, "-1", "1.0", "none", "%00", "%FF", "%D9%A1", "%EF%BC%91"],
)
def test_an_unknown_branch_is_bad_input(signed_in, efua, branch, unknown):
    answer = signed_in(efua).delete(url_of(unknown))

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Facility branch with the given ID does not exist."
    branch.refresh_from_db()
    assert branch.is_active


@pytest.mark.parametrize("who", ["kofi", "ama"])
def test_whoever_administers_no_facility_is_refused(signed_in, branch, request, who):
    answer = signed_in(request.getfixturevalue(who)).delete(url_of(branch.id))

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Unauthorized: Only facility admins can delete branches."
    branch.refresh_from_db()
    assert branch.is_active


def test_without_a_token_nothing_is_closed(anyone, branch):
    assert anyone.delete(url_of(branch.id)).status_code == 401
    branch.refresh_from_db()
    assert branch.is_active


@pytest.mark.parametrize("method", ["get", "post", "put", "patch"])
def test_no_other_method_is_allowed(signed_in, efua, branch, method):
    assert getattr(signed_in(efua), method)(url_of(branch.id)).status_code == 405
    branch.refresh_from_db()
    assert branch.is_active


def test_closing_takes_three_statements(signed_in, efua, branch):
    client = signed_in(efua)

    with statements() as sent:
        client.delete(url_of(branch.id))

    # the user with session and facility, the branch, its closing
    assert len(sent) == 3
