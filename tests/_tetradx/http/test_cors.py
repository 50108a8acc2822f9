import pytest
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db

FACILITIES = "/api/medics/facilities"
CLIENT = "https://client.example"


@pytest.fixture(autouse=True)
def allow_client(settings):
    settings.CORS_ALLOWED_ORIGINS = [CLIENT]


def comma_separated(header):
    return {item.strip().lower() for item in header.split(",")}


def preflight(origin=CLIENT, path="/api/medics/referral", method="POST", headers="content-type"):
    return APIClient().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


@pytest.mark.parametrize(
    "origin", [CLIENT, "http://localhost", "http://localhost:3000", "http://127.0.0.1:5173"]
)
def test_an_allowed_origin_may_read_answers(anyone, origin):
    answer = anyone.get(FACILITIES, headers={"Origin": origin})

    assert answer["Access-Control-Allow-Origin"] == origin
    assert "origin" in comma_separated(answer["Vary"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://client.example",
        "https://client.example.evil.example",
        "https://client.example:8443",
        "http://localhost.evil.example:3000",
        "https://evil.example/http://localhost:3000",
        "null",
        "nonsense",
        "http://[",
    ],
)
def test_any_other_may_not(anyone, origin):
    answer = anyone.get(FACILITIES, headers={"Origin": origin})

    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer
    assert "Access-Control-Allow-Origin" not in preflight(origin)


def test_the_headers_of_the_contract_may_be_read(anyone):
    answer = anyone.get(FACILITIES, headers={"Origin": CLIENT})

    assert comma_separated(answer["Access-Control-Expose-Headers"]) == {
        "content-disposition",
        "etag",
        "idempotent-replayed",
        "retry-after",
        "x-request-id",
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_preflight_allows_the_contracts_methods(method):
    answer = preflight(method=method)

    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == CLIENT
    assert method.lower() in comma_separated(answer["Access-Control-Allow-Methods"])


@pytest.mark.parametrize(
    "header",
    [
        *("Authorization", "Content-Type", "Idempotency-Key"),
        *("If-None-Match", "Last-Event-ID", "X-Request-ID"),
    ],
)
def test_a_preflight_allows_the_contracts_headers(header):
    answer = preflight(headers=header)

    assert header.lower() in comma_separated(answer["Access-Control-Allow-Headers"])


def test_a_preflight_needs_no_token():
    assert preflight(path="/api/medics/branches/add").status_code == 200


def test_an_allowed_origin_may_read_errors_too(monkeypatch, settings):
    def crash(*args):
        raise RuntimeError

    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_ORIGIN=CLIENT)
    monkeypatch.setattr("medics.views.public.PublicListView.list_by_name", crash)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1

    for answer, status in [
        (client.post("/api/auth/login", {"phone_number": "1"}), 413),
        (client.get("/api/medics/referrals/practitioner"), 401),
        (client.get("/api/nothing"), 404),
        (client.delete("/api/auth/login"), 405),
        (client.get(FACILITIES), 500),
    ]:
        assert answer.status_code == status
        assert answer["Access-Control-Allow-Origin"] == CLIENT
        assert "x-request-id" in comma_separated(answer["Access-Control-Expose-Headers"])


def test_an_allowed_origin_may_read_that_a_list_is_the_same(anyone):
    etag = anyone.get(FACILITIES)["ETag"]

    answer = anyone.get(FACILITIES, headers={"Origin": CLIENT, "If-None-Match": etag})

    assert answer.status_code == 304
    assert answer["Access-Control-Allow-Origin"] == CLIENT
    assert "etag" in comma_separated(answer["Access-Control-Expose-Headers"])


def test_nothing_outside_the_api_is_shared(anyone, settings):
    answer = anyone.get(f"/{settings.ADMIN_PATH}login/", headers={"Origin": CLIENT})

    assert "Access-Control-Allow-Origin" not in answer
