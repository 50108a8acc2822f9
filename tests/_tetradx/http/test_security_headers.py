"""What a browser is told of each kind of answer."""

import http.client
import socket

import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from _tetradx.http.security_headers import SecurityHeadersMiddleware
from tests.factories import PASSWORD, UserFactory
from tests.support.catalogue_sheets import EXPORT
from tests.support.service import serving

pytestmark = pytest.mark.django_db

PAGES = ["/api/docs/", "/admin/login/", "/admin/", "/admin/medics/test/import/", "/admin/nothing/"]
OTHERS = [
    "/nothing",
    "/healthz",
    "/api/docs/?script=",
    "/api/schema/",
    "/api/medics/facilities",
    "/api/medics/facilities/1/test-types",
    "/api/medics/referrals/practitioner",
    "/admin/jsi18n/",
]


@pytest.fixture
def operator():
    """A browser in which a superuser is signed in to the admin site."""
    client = Client(raise_request_exception=False)
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def policy_of(answer) -> dict[str, list[str]]:
    directives = (part.split() for part in answer["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_files_of_the_service_alone_and_nothing_within_it_runs(operator, path):
    answer = operator.get(path) if path != "/admin/login/" else Client().get(path)

    assert answer["Content-Type"].startswith("text/html")
    policy = policy_of(answer)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["img-src"] == ["'self'", "data:"]
    assert policy["form-action"] == ["'self'"]
    assert policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    assert "camera=()" in answer["Permissions-Policy"]


@pytest.mark.parametrize("path", OTHERS)
def test_an_answer_that_is_no_page_loads_nothing(operator, path):
    answer = operator.get(path)

    assert policy_of(answer) == {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}


@pytest.mark.parametrize("path", [*PAGES, *(path for path in OTHERS if path != "/healthz")])
def test_no_answer_is_framed_guessed_at_or_named_to_another_site(operator, path):
    answer = operator.get(path)

    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


def test_nobody_keeps_what_may_be_about_a_patient(signed_in, ama, operator, referral):
    client = signed_in(ama)

    for answer in (
        client.get(reverse("medics:get-practitioner-referrals")),
        client.get(reverse("medics:get-update-referral", args=[referral.id])),
        client.get(reverse("medics:get-update-referral", args=["A" * 10])),
        client.post(reverse("auth:login"), {"phone_number": ama.phone_number, "password": "x"}),
        operator.get(reverse("admin:medics_patient_change", args=[referral.patient_id])),
        operator.post(EXPORT, {"format": "0"}),
    ):
        assert "no-store" in answer["Cache-Control"]


def test_public_lists_are_kept_and_asked_about_again(anyone, laboratory):
    answer = anyone.get(reverse("medics:get-facilities"))
    same = anyone.get(reverse("medics:get-facilities"), headers={"If-None-Match": answer["ETag"]})

    assert same.status_code == 304
    assert answer["Cache-Control"] == same["Cache-Control"] == "no-cache"


def test_browsers_insist_on_https_only_where_they_came_by_it(anyone, settings):
    settings.SECURE_HSTS_SECONDS = 60

    by_https = anyone.get("/api/medics/facilities", secure=True)
    assert by_https["Strict-Transport-Security"] == "max-age=60"
    assert "Strict-Transport-Security" not in anyone.get("/api/medics/facilities")


def test_no_script_and_no_other_site_gets_at_the_cookies(client, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    operator = UserFactory(is_staff=True)

    client.get("/admin/login/")
    client.post("/admin/login/", {"username": operator.phone_number, "password": PASSWORD})

    assert client.cookies.keys() == {"csrftoken", "sessionid"}
    for cookie in client.cookies.values():
        assert cookie["httponly"] is True
        assert cookie["secure"] is True
        assert cookie["samesite"] == "Lax"
    assert client.cookies["sessionid"]["max-age"] == 12 * 3600


def test_the_api_sets_no_cookie(signed_in, ama):
    client = signed_in(ama)

    client.get(reverse("medics:get-practitioner-referrals"))
    client.post("/api/auth/login", {"phone_number": ama.phone_number, "password": PASSWORD})

    assert not client.cookies


def test_a_form_from_another_site_is_refused_by_a_page_of_ours():
    browser = Client(enforce_csrf_checks=True)

    answer = browser.post("/admin/login/", {"username": "0244123456", "password": PASSWORD})

    assert answer.status_code == 403
    assert b"came from another site" in answer.content
    assert b"<style" not in answer.content


@pytest.mark.parametrize("status", [404, 500])
def test_djangos_own_debug_pages_may_do_as_they_please(rf: RequestFactory, settings, status):
    middleware = SecurityHeadersMiddleware(lambda request: HttpResponse(status=status))

    assert "Content-Security-Policy" in middleware(rf.get("/"))
    settings.DEBUG = True
    assert "Content-Security-Policy" not in middleware(rf.get("/"))


@pytest.mark.django_db(transaction=True)
def test_gunicorn_says_neither_its_name_nor_version_and_reads_no_endless_header():
    with serving() as address:
        client = http.client.HTTPConnection(*address, timeout=10)
        client.request("GET", "/api/medics/facilities")
        answer = client.getresponse()
        assert answer.getheader("Server") == "tetradx"
        assert "unicorn" not in str(answer.headers)
        client.close()
        for line in (
            f"GET /api/medics/facilities?a={'a' * 4_100} HTTP/1.1\r\n\r\n",
            f"GET /api/medics/facilities HTTP/1.1\r\nHost: x\r\nA: {'a' * 8_200}\r\n\r\n",
            f"GET /api/medics/facilities HTTP/1.1\r\nHost: x\r\n{'A: a' + chr(13) + chr(10)}" * 65
            + "\r\n",
        ):
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(line.encode())
                first_line = connection.recv(1_000).decode().splitlines()[0]
                assert first_line.split()[1] in {"400", "414", "431"}


def test_nginx_names_no_version_either():
    config = (django_settings.BASE_DIR / "deploy" / "nginx" / "nginx.conf").read_text()

    assert "server_tokens off;" in config


def test_what_is_the_same_as_before_does_not_say_how_long_it_is():
    """That would be the length of what the client has (RFC 9110, 8.6), and Django says 0."""
    before = Client().get("/api/medics/facilities")

    answer = Client().get("/api/medics/facilities", headers={"If-None-Match": before["ETag"]})

    assert answer.status_code == 304
    assert "Content-Length" not in answer
