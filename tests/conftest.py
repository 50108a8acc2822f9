"""The cast that tests share.

Ama refers patients; Kofi works at the Osu branch of Korle Laboratory, which Efua administers; Yaw
is a practitioner who has no part in any of it.
"""

import json
import subprocess
import time

import hypothesis
import pytest
import redis as redis_client
from django.db.backends.postgresql.operations import DatabaseOperations
from rest_framework.test import APIClient

from _tetradx.cache.circuit_breaker import redis_breaker
from _tetradx.observability.logs import JsonFormatter
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
from tests.support.logs import written_by
from tests.support.metrics import METRICS_TOKEN
from tests.support.redis_server import redis_command

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


@pytest.fixture(autouse=True)
def _nothing_was_away():
    redis_breaker.close()


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
        "_tetradx.observability.metrics.MetricsMiddleware",
        *settings.MIDDLEWARE[3:],
    ]
    return {"Authorization": f"Bearer {METRICS_TOKEN}"}


@pytest.fixture
def access_log():
    """Gives what was written of who read patients' data, line by line."""
    with written_by("tetradx.access", JsonFormatter) as written:
        yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]


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


# Everybody who may ask for that referral, by role; tests/support/access_rules.py has who they are.


@pytest.fixture
def people(ama, yaw, kofi, efua, laboratory, branch):
    rival = TechnicianFactory()
    elsewhere = FacilityBranchFactory(facility=FacilityFactory(admin=rival))
    return {
        "ama": ama,
        "yaw": yaw,
        "kofi": kofi,
        "colleague": TechnicianFactory(branches=[FacilityBranchFactory(facility=laboratory)]),
        "closed": TechnicianFactory(
            branches=[FacilityBranchFactory(facility=laboratory, is_active=False)]
        ),
        "stranger": TechnicianFactory(branches=[elsewhere]),
        "efua": efua,
        "rival": rival,
        "operator": PractitionerFactory(is_staff=True, is_superuser=True),
        "newcomer": TechnicianFactory(branches=[branch], must_change_password=True),
        "disabled": TechnicianFactory(branches=[branch], is_active=False),
    }


@pytest.fixture
def client_of(people, signed_in, anyone):
    def client_of(role):
        return anyone if role == "anonymous" else signed_in(people[role])

    return client_of


@pytest.fixture
def ids(referral, laboratory, branch, haematology, blood_count):
    return {
        "facility": laboratory.id,
        "branch": branch.id,
        "test_type": haematology.id,
        "test": blood_count.id,
        "referral": referral.id,
        "referral_test": referral.tests.first().id,
    }


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """A real server on a socket of its own."""
    socket = tmp_path_factory.mktemp("redis") / "socket"
    server = subprocess.Popen(
        redis_command(socket.parent, "--port", "0", "--unixsocket", socket),
        stdout=subprocess.DEVNULL,
    )
    url = f"unix://{socket}"
    client = redis_client.Redis.from_url(url)
    give_up = time.monotonic() + 20
    while not socket.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    client.ping()
    client.close()
    yield url
    server.terminate()
    server.wait()


@pytest.fixture
def redis(redis_url):
    client = redis_client.Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()
