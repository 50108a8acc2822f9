"""The cast that tests share.

Ama refers patients; Kofi works at the Osu branch of Korle Laboratory, which Efua administers; Yaw
is a practitioner who has no part in any of it.
"""

import hypothesis
import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from rest_framework.test import APIClient

from authentication.services import open_session
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

METRICS_TOKEN = "m" * 40

# Of tests/properties: the same few values each time, or with --hypothesis-profile=fuzz many others.
AT_ANY_SPEED = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(hypothesis.HealthCheck),
}
hypothesis.settings.register_profile(
    "steady", derandomize=True, max_examples=25, stateful_step_count=20, **AT_ANY_SPEED
)
hypothesis.settings.register_profile("fuzz", print_blob=True, max_examples=200, **AT_ANY_SPEED)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def history_goes_with_its_test():
    """Nothing else may empty the history's tables."""
    sql_flush = DatabaseOperations.sql_flush

    def forgetting(*args, **kwargs):
        return ["SET LOCAL tetradx.forgetting = on", *sql_flush(*args, **kwargs)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", forgetting)
        yield


@pytest.fixture
def anyone():
    """A client without a token."""
    return APIClient()


@pytest.fixture
def signed_in():
    """Makes a client with an open session of the user."""

    def signed_in(user) -> APIClient:
        client = APIClient()
        token = open_session(user=user).access_token
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client

    return signed_in


@pytest.fixture
def measured(settings):
    """The settings as METRICS_TOKEN makes them; gives the headers that open /metrics."""
    settings.METRICS = True
    settings.METRICS_TOKEN = METRICS_TOKEN
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:3],
        "_tetradx.metrics.MetricsMiddleware",
        *settings.MIDDLEWARE[3:],
    ]
    return {"Authorization": f"Bearer {METRICS_TOKEN}"}


@pytest.fixture
def ama(db):
    return PractitionerFactory(full_name="Ama Serwaa")


@pytest.fixture
def yaw(db):
    return PractitionerFactory(full_name="Yaw Darko")


@pytest.fixture
def efua(db):
    return TechnicianFactory(full_name="Efua Asante")


@pytest.fixture
def laboratory(efua):
    return FacilityFactory(name="Korle Laboratory", admin=efua)


@pytest.fixture
def branch(laboratory):
    return FacilityBranchFactory(facility=laboratory, name="Osu")


@pytest.fixture
def kofi(branch):
    return TechnicianFactory(full_name="Kofi Boateng", branches=[branch])


@pytest.fixture
def haematology(laboratory):
    return TestTypeFactory(facility=laboratory, name="HAEMATOLOGY")


@pytest.fixture
def blood_count(haematology):
    return TestFactory(test_type=haematology, name="FULL BLOOD COUNT")


@pytest.fixture
def sickling(haematology):
    return TestFactory(test_type=haematology, name="SICKLING")


@pytest.fixture
def referral(ama, kofi, branch, blood_count, sickling):
    """Ama's referral of one patient to Kofi's branch, pending, with two tests."""
    return ReferralFactory(
        referred_by=ama,
        facility_branch=branch,
        patient=PatientFactory(full_name_or_id="Akosua Mensah"),
        tests=[blood_count, sickling],
    )
