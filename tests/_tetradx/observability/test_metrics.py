"""/metrics counts requests by route, never by what a client can make up, and asks the database."""

import pytest
from django.db import connection
from django.urls import reverse
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.response import Response

from tests.factories import PASSWORD
from tests.support.metrics import METRICS_TOKEN

pytestmark = pytest.mark.django_db

FACILITIES = {"view": "medics:get-facilities", "method": "GET"}
RESPONSES = "django_http_responses_total_by_status_view_method_total"
LATENCY = "django_http_requests_latency_seconds_by_view_method"


@pytest.fixture
def counted():
    """How much a sample has grown since it was asked for first."""
    before = {}

    def counted(name, **labels):
        value = REGISTRY.get_sample_value(name, labels) or 0
        return value - before.setdefault((name, *labels.items()), value)

    return counted


def samples(answer):
    """{(name, label, value, ...): number} of an exposition."""
    assert answer.status_code == 200
    return {
        (sample.name, *(part for label in sample.labels.items() for part in label)): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def series_of(name):
    return {
        tuple(sample.labels.items())
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name
    }


# Who is answered


def test_there_are_no_metrics_unless_asked_for(anyone):
    answer = anyone.get("/metrics")

    assert answer.status_code == 404
    assert answer.json() == {"status": "error", "code": "404", "detail": "Not Found."}


def test_the_token_opens_them(anyone, measured):
    answer = anyone.get("/metrics", headers=measured)

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Bearer é", METRICS_TOKEN),
        *(f"Basic {METRICS_TOKEN}", f"Bearer {METRICS_TOKEN}x"),
    ],
)
def test_anything_else_does_not(anyone, measured, header):
    answer = anyone.get("/metrics", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.content == b""


def test_they_are_there_by_any_host_and_without_tls(anyone, measured, settings):
    settings.ALLOWED_HOSTS = ["api.example"]
    settings.SECURE_SSL_REDIRECT = True

    assert anyone.get("/metrics", headers={**measured, "Host": "backend:8000"}).status_code == 200


def test_with_an_address_of_their_own_they_are_there_alone_and_nothing_else_is(
    anyone, measured, settings
):
    settings.METRICS_TOKEN = ""
    settings.METRICS_PORT = "9464"

    assert anyone.get("/metrics", SERVER_PORT="9464").status_code == 200
    for path in ("/api/medics/facilities", "/healthz", "/metrics/"):
        assert anyone.get(path, SERVER_PORT="9464").status_code == 404
    assert anyone.get("/metrics", SERVER_PORT="8000").status_code == 404
    assert anyone.get("/api/medics/facilities", SERVER_PORT="8000").status_code == 200


# Requests


def test_a_request_is_counted_under_its_route(anyone, measured, counted):
    def requests():
        return (
            counted(RESPONSES, status="200", **FACILITIES),
            counted(f"{LATENCY}_count", **FACILITIES),
            counted("tetradx_request_queries_count", **FACILITIES),
        )

    requests()
    anyone.get("/api/medics/facilities")
    anyone.get("/api/medics/facilities?search_query=Akosua")

    assert requests() == (2, 2, 2)


def test_its_statements_and_their_time_are_counted(
    signed_in, ama, referral, measured, counted, django_assert_num_queries
):
    route = {"view": "medics:get-practitioner-referrals", "method": "GET"}
    client = signed_in(ama)
    counted("tetradx_request_queries_sum", **route)
    counted("tetradx_request_sql_seconds_total", **route)

    with django_assert_num_queries(3):
        client.get("/api/medics/referrals/practitioner")

    assert counted("tetradx_request_queries_sum", **route) == 3
    assert 0 < counted("tetradx_request_sql_seconds_total", **route) < 60


def test_a_refusal_before_any_view_is_counted(anyone, measured, counted, settings):
    settings.ALLOWED_HOSTS = ["api.example"]
    nowhere = {"status": "400", "view": "<unnamed view>", "method": "GET"}
    counted(RESPONSES, **nowhere)

    anyone.get("/api/medics/facilities", headers={"Host": "other.example"})

    assert counted(RESPONSES, **nowhere) == 1


def test_a_crash_is_counted(anyone, measured, counted, monkeypatch):
    def crash(*args):
        raise RuntimeError

    monkeypatch.setattr("medics.views.public.PublicListView.list_by_name", crash)
    anyone.raise_request_exception = False
    counted(RESPONSES, status="500", **FACILITIES)

    anyone.get("/api/medics/facilities")

    assert counted(RESPONSES, status="500", **FACILITIES) == 1


def test_what_a_client_makes_up_makes_no_series(anyone, measured):
    anyone.get("/api/nothing")
    anyone.generic("BREW", "/api/nothing")
    names = [RESPONSES, f"{LATENCY}_count", "tetradx_request_queries_count"]
    known = {name: series_of(name) for name in names}

    for number in range(3):
        anyone.get(f"/api/nothing/{number}")
        anyone.generic(f"BREW{number}", "/api/nothing")

    assert {name: series_of(name) for name in names} == known


def test_no_path_no_search_and_no_person_stands_in_them(anyone, signed_in, ama, referral, measured):
    signed_in(ama).get("/api/medics/referrals/practitioner?search_query=akosua")
    signed_in(ama).get(reverse("medics:get-update-referral", args=[referral.pk]))
    anyone.post("/api/auth/login", {"phone_number": ama.phone_number, "password": PASSWORD})

    shown = anyone.get("/metrics", headers=measured).content.decode()

    for private in (
        "/api/",
        "akosua",
        "Akosua",
        referral.pk,
        ama.phone_number,
        str(ama.pk),
        METRICS_TOKEN,
    ):
        assert private not in shown


def test_the_request_that_runs_is_in_flight(anyone, measured, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "medics.views.public.PublicListView.list_by_name",
        lambda *args: seen.append(in_flight()) or Response([]),
    )

    def in_flight():
        return REGISTRY.get_sample_value("tetradx_worker_requests_in_flight")

    anyone.get("/api/medics/facilities")

    assert seen == [1]
    assert in_flight() == 0


# The database


def test_connections_are_counted_by_state(anyone, measured, ama):
    found = samples(anyone.get("/metrics", headers=measured))

    # That of this test, in whose transaction Ama was made.
    assert found["tetradx_database_connections", "state", "idle in transaction"] >= 1
    assert ("tetradx_database_connections", "state", "idle") in found
    ours = sum(found[key] for key in found if key[0] == "tetradx_database_connections")
    assert ours <= found["tetradx_database_server_connections",]
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        [maximum] = cursor.fetchone()
    limit = found["tetradx_database_server_connections_limit",]
    assert found["tetradx_database_server_connections",] < limit < int(maximum)


def test_readiness_is_among_them(anyone, measured):
    found = samples(anyone.get("/metrics", headers=measured))

    assert {
        part: found["tetradx_ready", "part", part] for part in ("database", "migrations", "cache")
    } == {
        "database": 1,
        "migrations": 1,
        "cache": 1,
    }


def test_a_database_that_is_gone_leaves_the_rest(anyone, measured, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")

    found = samples(anyone.get("/metrics", headers=measured))

    assert found["tetradx_ready", "part", "database"] == 0
    assert found["tetradx_ready", "part", "cache"] == 1
    assert "tetradx_database_connections" not in {name for name, *_ in found}
    assert "tetradx_worker_requests_in_flight" in {name for name, *_ in found}


def test_a_statement_that_fails_leaves_the_rest(anyone, measured, monkeypatch, caplog):
    monkeypatch.setattr("_tetradx.observability.database_metrics.SECONDS", 0)

    found = samples(anyone.get("/metrics", headers=measured))

    assert found["tetradx_ready", "part", "database"] == 1
    assert "tetradx_database_connections" not in {name for name, *_ in found}
    assert "no answer in time" in caplog.text
