import re

import pytest
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db

FACILITIES = "/api/medics/facilities"


@pytest.mark.parametrize(
    "request_id", ["a", "7f3a9c12", "0b6f1f0e-5a3c-4a55-9d0e-7f3a9c12ab34", "a.b:c_d-e", "x" * 128]
)
def test_a_sane_id_is_echoed(anyone, request_id):
    answer = anyone.get(FACILITIES, headers={"X-Request-ID": request_id})

    assert answer["X-Request-ID"] == request_id


@pytest.mark.parametrize(
    "request_id", ["", " ", "a b", "a\nINFO forged", "<script>", "é", "x" * 129, 'a"b', "a\x00"]
)
def test_any_other_is_replaced(anyone, request_id):
    answer = anyone.get(FACILITIES, headers={"X-Request-ID": request_id})

    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])


def test_each_request_gets_an_id_of_its_own(anyone):
    assert len({anyone.get(FACILITIES)["X-Request-ID"] for _ in range(5)}) == 5


def test_errors_carry_it_too(monkeypatch):
    def crash(*args):
        raise RuntimeError

    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_X_REQUEST_ID="ama-1")

    assert client.get("/api/nothing")["X-Request-ID"] == "ama-1"
    assert client.post(FACILITIES)["X-Request-ID"] == "ama-1"
    assert client.get("/api/medics/referrals/practitioner")["X-Request-ID"] == "ama-1"
    monkeypatch.setattr("medics.views.public.PublicListView.list_by_name", crash)
    answer = client.get(FACILITIES)
    assert answer.status_code == 500
    assert answer["X-Request-ID"] == "ama-1"


def test_so_does_an_answer_without_a_body(anyone):
    etag = anyone.get(FACILITIES)["ETag"]

    answer = anyone.get(FACILITIES, headers={"If-None-Match": etag, "X-Request-ID": "ama-1"})

    assert answer.status_code == 304
    assert answer["X-Request-ID"] == "ama-1"


def test_so_does_a_preflight(anyone):
    answer = anyone.options(
        FACILITIES,
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "GET",
            "X-Request-ID": "ama-1",
        },
    )

    assert answer["X-Request-ID"] == "ama-1"
