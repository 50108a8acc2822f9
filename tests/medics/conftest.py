import pytest
from django.urls import reverse

from authentication.models import UserType
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    TechnicianFactory,
    UserFactory,
)


@pytest.fixture
def outsiders(laboratory, yaw):
    """People of every kind who have no part in Ama's referral to Kofi's branch."""
    other_admin = TechnicianFactory()
    other_laboratory = FacilityFactory(admin=other_admin)
    return [
        yaw,
        other_admin,
        TechnicianFactory(),
        TechnicianFactory(branches=[FacilityBranchFactory(facility=laboratory)]),
        TechnicianFactory(branches=[FacilityBranchFactory(facility=other_laboratory)]),
        UserFactory(user_type=UserType.PATIENT, full_name="Akosua Mensah"),
    ]


@pytest.fixture
def body(branch, blood_count):
    """The least that a practitioner posts to refer Akosua Mensah to Kofi's branch."""
    return {
        "patient_full_name_or_id": "Akosua Mensah",
        "tests": [blood_count.id],
        "branch_id": branch.id,
    }


@pytest.fixture
def asking():
    """Makes a function that asks the list at the URL, and gives the answer's data or detail."""

    def asking(client, url):
        def listed(expected_status=200, **query):
            response = client.get(url, query)
            assert response.status_code == expected_status, response.json()
            return response.json()["data" if expected_status == 200 else "detail"]

        return listed

    return asking


@pytest.fixture(params=["get-practitioner-referrals", "get-technician-referrals"])
def listed(request, signed_in, ama, kofi, asking):
    """Asks each of the two lists in turn; gives its data."""
    client = signed_in(ama if request.param == "get-practitioner-referrals" else kofi)
    return asking(client, reverse(f"medics:{request.param}"))
