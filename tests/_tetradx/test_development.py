"""What developers see, and nobody else."""

import re

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.test import APIClient

from _tetradx.http.middleware import DevelopmentMiddleware, RequestRecordMiddleware

pytestmark = pytest.mark.django_db


def test_in_development_an_answer_carries_what_it_cost(caplog, rf: RequestFactory, ama):
    def answer(request):
        type(ama).objects.count()
        return HttpResponse()

    caplog.set_level("INFO", "tetradx.requests")
    response = RequestRecordMiddleware(DevelopmentMiddleware(answer))(
        rf.get("/api/x?search_query=a")
    )

    assert re.fullmatch(
        r'app;dur=\d+\.\d, db;dur=\d+\.\d;desc="1 queries"', response["Server-Timing"]
    )
    [line] = caplog.messages
    assert re.fullmatch(r"GET /api/x status=200 ms=\d+\.\d sql_ms=\d+\.\d queries=1", line)


@pytest.fixture
def in_development(settings):
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:3],
        "_tetradx.http.middleware.DevelopmentMiddleware",
        *settings.MIDDLEWARE[3:],
    ]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/nothing", {}, 404),
        ("/api/nothing%0A", {}, 404),
        ("/api", {"Accept": "text/html"}, 404),
        ("/nothing", {}, 404),
        ("/api/medics/facilities", {"Host": "evil.example"}, 400),
    ],
)
def test_what_the_client_gets_wrong_is_answered_as_in_production(
    anyone, settings, request, path, headers, status
):
    headers = {"Origin": "http://localhost:3000", **headers}
    production = anyone.get(path, headers=headers)
    request.getfixturevalue("in_development")
    development = APIClient().get(path, headers=headers)

    assert production.status_code == development.status_code == status
    assert production.json() == development.json()
    changing = {"Server-Timing", "X-Request-ID"}
    assert {name: development[name] for name in development.headers.keys() - changing} == {
        name: production[name] for name in production.headers.keys() - changing
    }


@pytest.mark.usefixtures("in_development")
def test_the_admin_site_and_a_crash_show_developers_more(monkeypatch, settings):
    def crash(*args):
        raise RuntimeError("Look here")

    monkeypatch.setattr("medics.views.public.PublicListView.list_by_name", crash)
    client = APIClient(raise_request_exception=False)

    page = client.get(f"/{settings.ADMIN_PATH}login/nothing")
    assert page["Content-Type"].startswith("text/html")
    assert b"Look here" in client.get("/api/medics/facilities").content


def test_elsewhere_it_does_not(anyone):
    assert "Server-Timing" not in anyone.get("/api/medics/facilities")
