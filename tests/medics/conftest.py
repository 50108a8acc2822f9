import pytest

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
