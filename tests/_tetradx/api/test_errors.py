import io
import json

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient
from rest_framework.throttling import BaseThrottle

from _tetradx.observability.logs import LineFormatter
from _tetradx.wsgi import application
from authentication.models import User
from authentication.views import RegisterView
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

AMA = {"full_name": "Ama Serwaa", "phone_number": "0244123456", "password": PASSWORD}
REGISTER = "/api/auth/register"


def assert_error(answer, status):
    """That the answer is an error in the envelope; gives its detail."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Request-ID"]
    body = answer.json()
    assert body.keys() == {"status", "code", "detail"}
    assert body["status"] == "error"
    assert body["code"] == str(status)
    if isinstance(body["detail"], dict):
        assert body["detail"]
        for field, sentences in body["detail"].items():
            assert isinstance(field, str)
            assert isinstance(sentences, list)
            assert sentences
            assert all(isinstance(sentence, str) for sentence in sentences)
    else:
        assert isinstance(body["detail"], str)
        assert body["detail"]
    return body["detail"]


@pytest.fixture
def client():
    """Gets what a client gets of a crash: an answer, not the exception."""
    return APIClient(raise_request_exception=False)


@pytest.fixture
def fail(monkeypatch):
    """Makes registering fail in the way of the function given."""

    def fail(fault):
        monkeypatch.setattr("authentication.services.create_account", lambda **fields: fault())

    return fail


# A constant, since Python 3.13 shows all lines of a statement in a traceback.
QUOTED = "patient Akosua"


def fail_with_sqlstate(code):
    """What the database says with this SQLSTATE, as Django and the driver hand it on."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION '{QUOTED}' USING ERRCODE = '{code}'; END $$")


# Bodies

BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "single quotes": b"{'full_name': 'Ama'}",
    "an array": b"[]",
    "an array of objects": b"[{}]",
    "null": b"null",
    "true": b"true",
    "a number": b"7",
    "a string": b'"text"',
    "not a number": b'{"status": NaN, "name": NaN}',
    "a NUL": b"\x00",
    "a NUL in a string": b'{"name": "a\x00b"}',
    "a lone surrogate": rb'{"name": "\ud800", "refresh": "\ud800", "status": "\ud800"}',
    "half an escape": rb'{"name": "\ud8"}',
    "no UTF-8": b'{"name": "\xff"}',
    "UTF-16": json.dumps({"name": "Ama"}).encode("utf-16"),
    "a thousand brackets": b"[" * 1_000 + b"]" * 1_000,
    "a thousand open brackets": b"[" * 1_000,
    "a thousand objects": b'{"name":' * 1_000 + b"1" + b"}" * 1_000,
}

# What takes a body, and who may send it there.
WRITES = [
    ("post", "auth:user-register", None),
    ("post", "auth:login", None),
    ("post", "auth:token-refresh", None),
    ("post", "auth:client-refresh", None),
    ("post", "auth:logout", None),
    ("post", "medics:add-branch", "efua"),
    ("post", "medics:add-lab-technician", "efua"),
    ("post", "medics:change-password", "efua"),
    ("post", "utilities:add-test-types", "efua"),
    ("post", "medics:create-referral", "ama"),
    ("put", "medics:get-update-referral", "kofi"),
    ("put", "medics:update-test-status", "kofi"),
]


@pytest.mark.parametrize(("method", "route", "who"), WRITES, ids=[route for _, route, _ in WRITES])
def test_a_bad_body_is_bad_input(
    client, signed_in, laboratory, referral, request, method, route, who
):
    ids = {
        "medics:get-update-referral": [referral.id],
        "medics:update-test-status": [referral.tests.first().id],
    }
    if who:
        client = signed_in(request.getfixturevalue(who))
        client.raise_request_exception = False
    send = getattr(client, method)

    for body in BAD_BODIES.values():
        answer = send(
            reverse(route, args=ids.get(route)), data=body, content_type="application/json"
        )
        assert_error(answer, 400)


def test_a_body_of_more_than_the_limit_is_too_large(client):
    body = json.dumps({**AMA, "note": "x" * django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE})

    assert_error(client.post(REGISTER, body, content_type="application/json"), 413)
    assert not User.objects.exists()


def test_a_body_up_to_the_limit_is_read(client, settings):
    body = json.dumps(AMA).encode()

    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body) - 1
    assert_error(client.post(REGISTER, body, content_type="application/json"), 413)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body)
    assert client.post(REGISTER, body, content_type="application/json").status_code == 201


class Unread(io.BytesIO):
    def read(self, *args):
        raise AssertionError("somebody reads the body")

    readline = read


@pytest.mark.parametrize("path", [REGISTER, "/admin/login/"])
def test_where_nobody_takes_chunks_apart_a_length_is_required(path):
    """The development server; gunicorn does (tests/_tetradx/serving/test_gunicorn_workers.py)."""
    answer = Client().post(path, HTTP_TRANSFER_ENCODING="chunked")

    assert answer.status_code == 411
    if path == REGISTER:
        assert_error(answer, 411)


@pytest.mark.parametrize("path", [REGISTER, "/admin/login/", "/api/nothing", "/healthz"])
@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_nobody_reads_a_body_that_is_too_large(path, content_type):
    answer = Client().generic(
        "POST",
        path,
        content_type=content_type,
        **{
            "CONTENT_LENGTH": str(django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1),
            "wsgi.input": Unread(),
        },
    )

    if path.startswith("/api/"):
        assert_error(answer, 413)
    else:
        assert answer.status_code == (405 if path == "/healthz" else 413)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "nonsense",
        "/",
        "application/json, text/html",
        "a" * 10_000,
    ],
)
def test_another_content_type_is_not_supported(client, content_type):
    answer = client.post(REGISTER, json.dumps(AMA), content_type=content_type)

    assert_error(answer, 415)
    assert not User.objects.exists()


CHARSETS = ["utf-8", "UTF-8", "bogus", "base64", "hex", "rot13", "utf-16", "idna", "undefined"]


def serve(method, path, query, body, content_type):
    """Status, headers and body of what a server in front of the application is handed.

    The test client would read the charset itself before the application does.
    """
    started = []
    answer = application(
        {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "localhost",
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
        },
        lambda status, headers: started.extend([status, dict(headers)]),
    )
    content = b"".join(answer)
    answer.close()
    return int(started[0].split()[0]), started[1], json.loads(content)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("query", ["", "next=1"])
def test_json_is_utf8_whatever_charset_the_client_names(query):
    for number, charset in enumerate(CHARSETS):
        account = {**AMA, "full_name": "Amá", "phone_number": f"024412345{number}"}
        body = json.dumps(account, ensure_ascii=False).encode()

        status, _, _ = serve("POST", REGISTER, query, body, f"application/json; charset={charset}")

        assert status == 201
    assert User.objects.filter(full_name="Amá").count() == len(CHARSETS)


@pytest.mark.django_db(transaction=True)
def test_a_list_does_not_look_at_the_charset():
    for charset in CHARSETS:
        status, headers, answer = serve(
            "GET", "/api/medics/facilities", "next=1", b"", f"application/json; charset={charset}"
        )

        assert status == 200
        assert headers["X-Request-ID"]
        assert answer["data"] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "parameters", ["a*=bogus'en'%41", "a*=x; a*0=y", "a*=undefined'en'%41", f"a*{'9' * 5000}=x"]
)
def test_a_content_type_that_cannot_be_read_is_none(parameters):
    status, headers, answer = serve(
        "POST", REGISTER, "x=1", b"{}", f"application/json; {parameters}"
    )

    assert status == 415
    assert headers["X-Request-ID"]
    assert answer.keys() == {"status", "code", "detail"}


# Paths, methods, headers


@pytest.mark.parametrize("url", ["/api/medics/facilities", "/api/schema/", "/api/docs/"])
def test_an_accept_that_cannot_be_read_is_not_acceptable(anyone, url):
    assert_error(anyone.get(url, headers={"Accept": "*/*; a*=x; a*0=y"}), 406)


@pytest.mark.parametrize("url", ["/api/schema/", "/api/docs/"])
def test_an_error_of_a_page_that_is_not_json_is_json(anyone, url):
    assert_error(anyone.post(url), 405)


@pytest.mark.parametrize(
    "header", [{"If-Match": '"x"'}, {"If-Unmodified-Since": "Mon, 01 Jan 1990 00:00:00 GMT"}]
)
def test_only_if_none_match_is_a_condition(anyone, header):
    assert anyone.get("/api/medics/facilities", headers=header).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/auth/register/",
        "/api/medics/facilities/",
        "/api/medics/facilities//branches",
        "/api/medics/facilities/1%2F2/branches",
        "/api/%00",
        "/api/%FF",
        "/api/" + "a" * 5_000,
    ],
)
def test_an_unknown_path_is_not_found(client, path):
    for method in (client.get, client.post, client.delete):
        assert_error(method(path), 404)


def test_an_unknown_path_is_not_found_for_a_browser_either(client):
    assert_error(client.get("/api/nothing", headers={"Accept": "text/html"}), 404)


@pytest.mark.parametrize(
    ("route", "methods"),
    [
        ("auth:user-register", ["get", "put", "patch", "delete"]),
        ("auth:login", ["get", "put", "patch", "delete"]),
        ("auth:token-refresh", ["get", "put", "patch", "delete"]),
        ("auth:client-refresh", ["get", "put", "patch", "delete"]),
        ("auth:logout", ["get", "put", "patch", "delete"]),
        ("medics:get-facilities", ["post", "put", "patch", "delete"]),
    ],
)
def test_another_method_is_not_allowed(client, route, methods):
    for method in methods:
        answer = getattr(client, method)(reverse(route))
        assert_error(answer, 405)
        assert method.upper() not in answer["Allow"]


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "nonsense", ";;;", "/", "a" * 9]
)
def test_another_representation_is_not_acceptable(client, accept):
    assert_error(client.get("/api/medics/facilities", headers={"Accept": accept}), 406)


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "*/*",
        "application/*",
        "application/json, text/plain, */*",
        "text/html, application/json;q=0.1",
        "application/json; q=nonsense",
        "",
        " ",
        " ,, ",
        "application/json; indent=x",
    ],
)
def test_whoever_accepts_json_gets_it(client, accept):
    answer = client.get("/api/medics/facilities", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.json()["data"] == []


def test_an_unknown_host_is_bad_input(client):
    assert_error(client.get("/api/medics/facilities", headers={"Host": "evil.example"}), 400)


def test_too_many_query_parameters_are_bad_input(client):
    assert_error(client.post(REGISTER + "?" + "a=1&" * 1_001, AMA), 400)


def test_no_token_is_unauthorised(client):
    answer = client.post("/api/medics/branches/add", {"name": "Tema"})

    assert_error(answer, 401)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_throttled_client_is_told_when_to_come_back(client, monkeypatch):
    class Refuses(BaseThrottle):
        def allow_request(self, request, view):
            return False

        def wait(self):
            return 7

    monkeypatch.setattr(RegisterView, "throttle_classes", [Refuses])

    answer = client.post(REGISTER, AMA)

    assert_error(answer, 429)
    assert answer["Retry-After"] == "7"


# The database


CAUSED_BY_A_CONCURRENT_CHANGE = {
    "deadlock": "40P01",
    "serialization failure": "40001",
    "unique": "23505",
    "foreign key": "23503",
    "restrict": "23001",
    "exclusion": "23P01",
}
FAULTS_OF_OURS = {
    "not null": "23502",
    "check": "23514",
    "no such table": "42P01",
    "no right": "42501",
}


@pytest.mark.parametrize("code", CAUSED_BY_A_CONCURRENT_CHANGE.values())
def test_a_concurrent_change_is_a_conflict(client, fail, code):
    fail(lambda: fail_with_sqlstate(code))

    assert "Akosua" not in assert_error(client.post(REGISTER, AMA), 409)


@pytest.mark.parametrize("code", FAULTS_OF_OURS.values())
def test_a_broken_rule_that_only_a_fault_of_ours_can_break_is_a_crash(client, fail, caplog, code):
    fail(lambda: fail_with_sqlstate(code))

    assert assert_error(client.post(REGISTER, AMA), 500) == "Internal Server Error."
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.name == "django.request"
    logged = LineFormatter().format(record)
    assert "Traceback" in logged
    assert "fail_with_sqlstate" in logged
    assert f"SQLSTATE {code}" in logged
    assert "Akosua" not in logged


@pytest.mark.parametrize(("code", "status"), [("23505", 302), ("23514", 500), ("23502", 500)])
def test_the_admin_site_tells_a_conflict_from_a_fault_of_ours_too(monkeypatch, code, status):
    browser = Client(raise_request_exception=False)
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    monkeypatch.setattr(
        "medics.admin.staff.set_place_of_work", lambda **fields: fail_with_sqlstate(code)
    )
    account = {
        "phone_number": "0209000111",
        "full_name": "Yaw",
        "user_type": "Patient",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }

    answer = browser.post("/admin/authentication/user/add/", account)

    assert answer.status_code == status
    assert b"Akosua" not in answer.content
    assert not User.objects.filter(phone_number="0209000111").exists()


@pytest.mark.parametrize("code", ["22003", "22001", "22021"])
def test_a_value_beyond_its_column_is_bad_input(client, fail, code):
    fail(lambda: fail_with_sqlstate(code))

    assert "Akosua" not in assert_error(client.post(REGISTER, AMA), 400)


@pytest.mark.parametrize(
    "code",
    ["57014", "55P03", "57P01", "57P03", "53300", "08006"],
    ids=["timeout", "lock timeout", "shutdown", "starting", "too many connections", "broken"],
)
def test_a_database_that_cannot_answer_is_unavailable(client, fail, code):
    fail(lambda: fail_with_sqlstate(code))

    answer = client.post(REGISTER, AMA)

    assert "Akosua" not in assert_error(answer, 503)
    assert int(answer["Retry-After"]) > 0


def test_a_statement_that_times_out_is_unavailable(client, fail):
    def sleep():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1")
            cursor.execute("SELECT pg_sleep(60)")

    fail(sleep)

    answer = client.post(REGISTER, AMA)

    assert_error(answer, 503)
    assert int(answer["Retry-After"]) > 0


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_gone_is_unavailable_until_it_is_back(client, signed_in, ama):
    signed = signed_in(ama)
    requests = [
        lambda: client.get("/api/medics/facilities"),
        lambda: client.post(REGISTER, AMA),
        lambda: client.post("/api/auth/login", {"phone_number": "1234567", "password": PASSWORD}),
        lambda: signed.get("/api/medics/referrals/practitioner"),
    ]
    connection.close()

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
        for request in requests:
            answer = request()
            assert_error(answer, 503)
            assert int(answer["Retry-After"]) > 0

    assert client.get("/api/medics/facilities").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_breaks_is_unavailable_once(client, fail):
    def break_connection():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            "authentication.services.create_account", lambda **fields: break_connection()
        )
        assert_error(client.post(REGISTER, AMA), 503)
    connection.close_if_unusable_or_obsolete()

    assert client.post(REGISTER, AMA).status_code == 201


def assert_unavailable_page(answer):
    assert answer.status_code == 503
    assert answer["Content-Type"].startswith("text/html")
    assert int(answer["Retry-After"]) > 0
    assert answer["X-Request-ID"]
    assert b"Service Unavailable" in answer.content
    assert b"Traceback" not in answer.content


@pytest.mark.django_db(transaction=True)
def test_the_admin_site_without_a_database_is_a_page_that_says_so():
    UserFactory(phone_number="0244123456", is_staff=True)
    browser = Client(raise_request_exception=False)
    browser.login(username="0244123456", password=PASSWORD)
    connection.close()

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
        assert_unavailable_page(browser.get("/admin/"))
        login = {"username": "0244123456", "password": PASSWORD}
        assert_unavailable_page(browser.post("/admin/login/", login))

    assert browser.get("/admin/").status_code == 200


def test_a_database_that_goes_in_middleware_is_unavailable_in_the_envelope(client, monkeypatch):
    def fail(*args):
        raise OperationalError("patient Akosua")

    monkeypatch.setattr("corsheaders.middleware.CorsMiddleware.add_response_headers", fail)

    answer = client.get("/api/medics/facilities")

    assert "Akosua" not in assert_error(answer, 503)
    assert int(answer["Retry-After"]) > 0


# Crashes


def test_a_crash_of_the_admin_site_is_a_page_that_tells_nothing(monkeypatch):
    def crash(*args, **kwargs):
        raise RuntimeError("secret")

    browser = Client(raise_request_exception=False)
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    monkeypatch.setattr("django.contrib.admin.options.ModelAdmin.get_queryset", crash)

    answer = browser.get("/admin/medics/patient/")

    assert answer.status_code == 500
    assert answer["Content-Type"].startswith("text/html")
    for inside in (b"secret", b"Traceback", b"RuntimeError", b"Django", b".py"):
        assert inside not in answer.content


def test_an_unknown_host_is_told_nothing_by_the_admin_site_either(client):
    answer = client.get("/admin/login/", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert b"evil" not in answer.content
    assert b"ALLOWED_HOSTS" not in answer.content


def test_a_crash_tells_nothing_of_the_inside(client, fail):
    def crash():
        raise RuntimeError("secret")

    fail(crash)

    answer = client.post(REGISTER, AMA)

    assert assert_error(answer, 500) == "Internal Server Error."
    assert b"secret" not in answer.content
    assert b"Traceback" not in answer.content


def test_a_crash_outside_a_view_is_in_the_envelope_too(client, monkeypatch):
    def crash(*args):
        raise RuntimeError("secret")

    monkeypatch.setattr("_tetradx.api.renderers.EnvelopeRenderer.render", crash)

    answer = client.get("/api/medics/facilities")

    assert_error(answer, 500)
    assert b"secret" not in answer.content
