"""Attacks in the order of the OWASP API Security Top 10 of 2023, on every route where they fit.

Single rules have their tests elsewhere: who sees what in test_permissions.py, tokens and sessions
in authentication/, what a body may hold in _tetradx/api/test_errors.py.
"""

import base64
import gzip
import hashlib
import hmac
import io
import json
import os
import pickle
import re
import socket
import zipfile

import jwt
import pytest
from django.conf import settings as django_settings
from django.core.cache.backends.redis import RedisCache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from _tetradx.cache.serializer import JSONSerializer
from authentication import throttles
from authentication.models import User
from authentication.services import open_session
from medics.models import FacilityBranch, Referral, ReferralTest
from tests.factories import PASSWORD, UserFactory
from tests.support.access_rules import RULES, filled
from tests.support.api_schema import OPERATIONS
from tests.support.catalogue_sheets import HEADINGS, UREA, XLSX, upload, xlsx_of

pytestmark = pytest.mark.django_db

LIST = reverse("medics:get-practitioner-referrals")
LOGIN = reverse("auth:login")
REGISTER = reverse("auth:user-register")
PROTECTED = [rule for rule in RULES if not rule.public]
WRITES = [rule for rule in RULES if rule.method in {"post", "put"}]
each_protected_route = pytest.mark.parametrize("rule", PROTECTED, ids=str)
each_json_route = pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.route not in {"schema", "docs"}], ids=str
)
each_write = pytest.mark.parametrize("rule", WRITES, ids=str)


@pytest.fixture
def url_of(ids):
    return lambda rule: reverse(rule.route, kwargs=filled(rule.path, ids))


@pytest.fixture
def ask(ids, url_of):
    """What a route answers to the body that its rule has for it, or to another one."""

    def ask(client, rule, body=None, **headers):
        body = filled(rule.body, ids) if body is None else body
        return getattr(client, rule.method)(url_of(rule), body, headers=headers)

    return ask


@pytest.fixture
def allowed(client_of):
    """A client that may use the route and gets no exception but what a client gets of it."""

    def allowed(rule):
        client = client_of(rule.allowed[0] if rule.allowed else "anonymous")
        client.raise_request_exception = False
        return client

    return allowed


def bearer(token) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


# API1: Broken object level authorization


@pytest.mark.parametrize("role", ["yaw", "colleague", "closed", "stranger", "rival", "operator"])
def test_who_guesses_the_id_of_a_referral_neither_reads_nor_changes_it(role, client_of, ask):
    def kept():
        return [*Referral.objects.values(), *ReferralTest.objects.values()]

    before = kept()
    client = client_of(role)
    for rule in PROTECTED:
        if {"referral_id", "referral_test_id"} & rule.path.keys():
            for body in (None, {"status": "Completed"}):
                answer = ask(client, rule, body)
                assert answer.status_code in {400, 403}
                assert "Akosua" not in answer.content.decode()

    assert kept() == before


# API2: Broken authentication


def part(content: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def signed_by_hand(header: dict, payload: dict, key: bytes) -> str:
    text = f"{part(header)}.{part(payload)}"
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


@pytest.fixture
def forged(people):
    """Tokens that would be Ama's, if they were believed."""
    refresh = open_session(user=people["ama"])
    access = refresh.access_token
    payload, (head, _, signature) = access.payload, str(access).split(".")
    hs256 = {"typ": "JWT", "alg": "HS256"}
    other_key, strangers = "x" * 64, open_session(user=people["yaw"]).access_token.payload
    return [
        jwt.encode(payload, None, algorithm="none"),
        f"{part({**hs256, 'alg': 'nOnE'})}.{part(payload)}.",
        f"{part({**hs256, 'alg': 'none'})}.{part(payload)}.{signature}",
        f"{head}.{part(payload)}.",
        f"{head}.{part({**strangers, 'user_id': str(people['ama'].pk)})}.{signature}",
        signed_by_hand(hs256, payload, b""),
        signed_by_hand(hs256, payload, django_settings.SECRET_KEY.encode()),
        signed_by_hand({**hs256, "kid": "/dev/null"}, payload, b""),
        signed_by_hand({**hs256, "jwk": {"kty": "oct", "k": "eA"}}, payload, b"x"),
        jwt.encode(payload, other_key, headers={"jku": "https://evil.example/jwks"}),
        jwt.encode({**payload, "exp": 9_999_999_999}, other_key, algorithm="HS512"),
        str(refresh),
        str(access)[:-3],
        f"{access}{access}",
    ]


@each_protected_route
def test_no_route_believes_a_forged_token(rule, forged, ask):
    for token in forged:
        assert ask(bearer(token), rule).status_code == 401, token


@each_protected_route
def test_no_route_takes_a_token_from_elsewhere_or_the_admin_sites_cookie(rule, people, ask, url_of):
    token = str(open_session(user=people["ama"]).access_token)
    client = APIClient()
    client.cookies.load(dict.fromkeys(("access_token", "token", "jwt", "Authorization"), token))
    client.force_login(people["operator"])
    basic = base64.b64encode(f"{people['ama'].phone_number}:{PASSWORD}".encode()).decode()

    for headers in (
        {},
        {"X-Authorization": f"Bearer {token}"},
        {"Authorization": f"Token {token}"},
        {"Authorization": f"Basic {basic}"},
        {"X-User-Id": str(people["ama"].pk), "X-Remote-User": people["ama"].phone_number},
        {"Remote-User": people["ama"].phone_number},
    ):
        assert ask(client, rule, **headers).status_code == 401
    url = f"{url_of(rule)}?token={token}&access_token={token}&jwt={token}"
    assert getattr(client, rule.method)(url, {"token": token}).status_code == 401


def test_a_password_is_guessed_a_few_times_and_then_slowly(anyone, people, monkeypatch):
    slow = throttles.Rule(5, 3600, first_wait_seconds=60, longest_wait_seconds=900)
    monkeypatch.setattr(throttles, "GUESSES_AT_A_NUMBER_FROM_AN_ADDRESS", slow)
    guess = {"phone_number": people["ama"].phone_number, "password": "Guess-1-of-many"}

    answers = [anyone.post(LOGIN, guess, REMOTE_ADDR="203.0.113.9") for _ in range(8)]

    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 3
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60


# API3: Broken object property level authorization

# What the service knows and tells nobody over the API.
UNTOLD = {
    *("password", "phone_key", "is_staff", "is_superuser", "is_active", "must_change_password"),
    *("last_login", "groups", "user_permissions", "sessions", "refresh_jti", "sid", "changed_by"),
    *("contact_number", "contact_key", "patient_contact_number", "referred_by", "patient"),
}


def keys_of(value) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_of(item)}
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    return set()


@each_json_route
def test_no_answer_tells_more_than_it_should(rule, allowed, ask):
    answer = ask(allowed(rule), rule)

    assert not keys_of(answer.json().get("data")) & UNTOLD
    assert PASSWORD not in answer.content.decode()


def test_neither_do_the_answers_that_make_an_account_and_open_a_session(anyone, people):
    new = {"full_name": "Adjoa", "phone_number": "0209999999", "password": PASSWORD}
    known = {"phone_number": people["efua"].phone_number, "password": PASSWORD}

    for answer in (
        anyone.post(REGISTER, {**new, "is_staff": True, "is_superuser": True}),
        anyone.post(LOGIN, known),
    ):
        assert answer.status_code in {200, 201}
        assert not keys_of(answer.json()) & UNTOLD
    assert not User.objects.filter(phone_number="0209999999", is_staff=True).exists()


# API4: Unrestricted resource consumption

GREEDY = [
    {"page_size": 10**12},
    {"page_size": "9" * 5_000},
    {"page_number": 10**30},
    {"page_number": "-1"},
    {"search_query": "x" * 100_000},
    {"search_query": "%" * 10_000},
    {"search_query": " ".join(["a"] * 10_000)},
    {"search_query": "(a+)+$" * 1_000},
    {"cursor": "A" * 100_000},
    {"branch_id": 10**30},
    {"status": "x" * 100_000},
    {"referred_from": "99999-01-01", "referred_to": "0000-00-00"},
]


@pytest.mark.parametrize("query", GREEDY, ids=lambda query: next(iter(query)))
@pytest.mark.parametrize(("role", "name"), [("ama", "practitioner"), ("kofi", "technician")])
def test_no_query_makes_a_list_long_or_costly(client_of, referral, role, name, query):
    client = client_of(role)

    with CaptureQueriesContext(connection) as statements:
        answer = client.get(f"/api/medics/referrals/{name}", query)

    assert answer.status_code in {200, 400}
    assert len(statements) <= 4
    assert len(answer.content) < 10_000 + len(str(query))


BOMBS = {
    "deep": b'{"tests":' * 20_000 + b"1" + b"}" * 20_000,
    "deep lists": b'{"tests":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a long number": b'{"branch_id":' + b"9" * 200_000 + b"}",
    "a large exponent": b'{"branch_id":1e400,"tests":[1e-400],"price":1E+999999}',
    "many tests": json.dumps({"tests": list(range(100_000)), "branch_id": 1}).encode(),
    "many keys": json.dumps(dict.fromkeys(map(str, range(50_000)))).encode(),
    "a long text": json.dumps(
        dict.fromkeys(["full_name", "name", "password", "refresh", "status"], "x" * 150_000)
    ).encode(),
    "a packed text": gzip.compress(b"{" + b" " * 10_000_000 + b"}"),
}


@each_write
def test_no_body_makes_a_route_work_long_or_crash(rule, allowed, url_of):
    client = allowed(rule)

    for body in BOMBS.values():
        with CaptureQueriesContext(connection) as statements:
            answer = getattr(client, rule.method)(
                url_of(rule),
                body,
                content_type="application/json",
                headers={"Content-Encoding": "gzip"} if body is BOMBS["a packed text"] else {},
            )
        assert answer.status_code in {400, 401, 429}, answer.content[:200]
        assert len(statements) <= 6
        assert len(answer.content) < len(body) + 10_000


# API5: Broken function level authorization


def test_no_route_answers_to_a_method_that_it_has_not(allowed, url_of):
    methods_of: dict[str, set[str]] = {}
    for rule in RULES:
        methods_of.setdefault(url_of(rule), set()).add(rule.method)

    for rule in RULES:
        url, client = url_of(rule), allowed(rule)
        for method in {"get", "post", "put", "patch", "delete", "trace"} - methods_of[url]:
            assert client.generic(method.upper(), url).status_code == 405, (method, url)


def test_no_header_or_parameter_stands_in_for_the_method_or_the_path(client_of, branch):
    client = client_of("efua")
    url = reverse("medics:get-branches", args=[branch.pk])

    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert client.post(url, headers={name: "DELETE"}).status_code == 405
    assert client.post(f"{url}?_method=DELETE", {"_method": "DELETE"}).status_code == 405
    assert FacilityBranch.objects.get(pk=branch.pk).is_active
    for name in ("X-Original-URL", "X-Rewrite-URL"):
        answer = client.get("/api/medics/facilities", headers={name: "/api/schema/"})
        assert answer.json()["message"] == "Facilities retrieved successfully"


@pytest.mark.parametrize(
    "path",
    [
        *("/api/medics/branches/add/", "//api/medics/branches/add", "/API/medics/branches/add"),
        *("/api/./medics/branches/add", "/api/medics/facilities/../branches/add"),
        *("/api/medics/branches/add;a=b", "/api/medics/branches/add.json"),
        *(
            "/api/medics/branches/add%2f",
            "/api/medics/branches/add%00",
            "/api/medics/branches/%61dd",
        ),
    ],
)
def test_no_disguise_of_a_path_leads_to_it(client_of, laboratory, path):
    answer = client_of("ama").generic(
        "POST", path, json.dumps({"name": "Tema"}), content_type="application/json"
    )

    assert answer.status_code in {400, 404}
    assert not laboratory.branches.filter(name="Tema").exists()


# API6: Unrestricted access to sensitive business flows


def test_nobody_registers_in_bulk_however_many_addresses_they_claim(anyone, monkeypatch):
    monkeypatch.setattr(
        throttles, "REGISTRATIONS_FROM_AN_ADDRESS", throttles.Rule(3, 3600, 3600, 3600)
    )

    answers = [
        anyone.post(
            REGISTER,
            {"full_name": "Robot", "phone_number": f"02012345{n}0", "password": PASSWORD},
            REMOTE_ADDR="203.0.113.9",
            headers={"X-Forwarded-For": f"198.51.100.{n}", "X-Real-IP": f"198.51.100.{n}"},
        ).status_code
        for n in range(6)
    ]

    assert answers == [201, 201, 201, 429, 429, 429]


def test_a_referral_cannot_be_hurried_through_or_taken_back(client_of, referral):
    client = client_of("kofi")
    url = reverse("medics:get-update-referral", args=[referral.id])

    assert client.put(url, {"status": "Completed"}).status_code == 400
    for test in referral.tests.all():
        test_url = reverse("medics:update-test-status", args=[test.id])
        assert client.put(test_url, {"status": "Completed"}).status_code == 200
    assert client.put(url, {"status": "Completed"}).status_code == 200
    for status in ("Pending", "Received"):
        assert client.put(url, {"status": status}).status_code == 400


def test_a_referral_sent_again_and_again_is_one(client_of, ids):
    body = {"patient_full_name_or_id": "Abena", "tests": [ids["test"]], "branch_id": ids["branch"]}
    client = client_of("ama")

    answers = [client.post(reverse("medics:create-referral"), body) for _ in range(10)]

    assert {answer.status_code for answer in answers} == {201}
    assert Referral.objects.filter(patient__full_name_or_id="Abena").count() == 1


# API7: Server side request forgery


@pytest.fixture
def trap():
    """An address of this machine, and whether anybody has called it since."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def was_called():
            try:
                listener.accept()
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", was_called


def test_no_route_fetches_an_address_that_it_is_sent(allowed, ask, trap):
    address, was_called = trap
    fields = {key for _, _, operation in OPERATIONS for key in keys_of_body(operation)}
    body = dict.fromkeys([*fields, "url", "callback", "webhook", "avatar", "file", "next"], address)
    token = jwt.encode({"sid": "x"}, "x" * 64, headers={"jku": address, "x5u": address})

    for rule in RULES:
        for client in (allowed(rule), bearer(token)):
            client.raise_request_exception = False
            answer = ask(
                client,
                rule,
                body if rule.method != "get" else {"search_query": address, "cursor": address},
                **{"Referer": address, "Origin": address.rstrip("/"), "X-Forwarded-For": address},
            )
            assert answer.status_code < 500

    assert not was_called()


def keys_of_body(operation) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {})
    return {
        key
        for media in content.values()
        for example in media.get("examples", {}).values()
        for key in keys_of(example["value"])
    }


def test_a_sheet_with_an_address_within_fetches_nothing(trap, ids):
    """XML's external entities, in a spreadsheet that an operator was talked into importing."""
    address, was_called = trap
    operator = Client()
    operator.force_login(UserFactory(is_staff=True, is_superuser=True))
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{address}">]>'
    sheet = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx_of(HEADINGS, UREA))) as good,
        zipfile.ZipFile(sheet, "w") as bad,
    ):
        for name in good.namelist():
            content = good.read(name).decode()
            if name.startswith("xl/worksheets/sheet"):
                head, _, rest = content.rpartition("?>")
                content = f"{head}{'?>' if head else ''}{entity}{rest}".replace("UREA", "&e;")
            bad.writestr(name, content)

    answer = upload(operator, sheet.getvalue(), XLSX)

    assert answer.status_code == 200
    assert not was_called()


# API8: Security misconfiguration

INSIDE = re.compile(
    r"Traceback|psycopg|django|SELECT |INSERT |site-packages|\.py\b|Exception|/work|/srv|relation ",
)
HOSTILE = "x'\"; DROP TABLE medics_referral; -- <script>alert(1)</script> ${7*7} {{7*7}} ../../etc"


@each_json_route
def test_a_hostile_value_breaks_nothing_and_an_error_tells_nothing_of_the_inside(
    rule, allowed, ask
):
    body = dict.fromkeys(keys_of(rule.body or {}), HOSTILE) | {"search_query": HOSTILE}

    answer = ask(allowed(rule), rule, body)

    assert answer.status_code in {200, 201, 400}
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Server" not in answer
    assert "X-Powered-By" not in answer
    assert not INSIDE.search(answer.content.decode())


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_route_lets_a_foreign_page_read_its_answer(rule, allowed, ask):
    for origin in ("https://evil.example", "null"):
        answer = ask(allowed(rule), rule, Origin=origin)
        assert "Access-Control-Allow-Origin" not in answer
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize(
    "path",
    [
        *("/.env", "/.git/config", "/docker-compose.yml", "/settings.py", "/manage.py"),
        *("/__debug__/", "/console", "/server-status", "/phpinfo.php", "/actuator/env"),
        *("/static/../manage.py", "/static/%2e%2e/manage.py", "/static/..%2fmanage.py"),
        *("/media/", "/static/", "/admin/doc/", "/var/secret_key", "/api/docs/../../.env"),
    ],
)
def test_nothing_is_served_that_was_left_lying_about(anyone, path):
    answer = anyone.get(path)

    assert answer.status_code in ({302} if path.startswith("/admin/") else {404})
    assert b"SECRET_KEY" not in answer.content


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Server", "evil.example"),
        ("X-Host", "evil.example"),
        ("Forwarded", "host=evil.example"),
    ],
)
def test_no_header_makes_the_service_name_another_host(anyone, header, value):
    for path in ("/", "/admin/", "/api/docs/", "/api/schema/", "/api/medics/facilities"):
        answer = anyone.get(path, headers={header: value})
        assert "evil" not in str(answer.headers)
        assert b"evil" not in answer.content


# API9: Improper inventory management


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/medics/facilities", "/api/v2/medics/facilities", "/v1/auth/login"),
        *("/api/v0/auth/login", "/api/beta/auth/login", "/api/internal/users", "/api/users"),
        *("/api/medics/patients", "/api/medics/referrals", "/api/auth/users", "/api/auth/me"),
        *("/graphql", "/api/redoc/", "/swagger.json", "/openapi.json", "/api/debug", "/api/test"),
    ],
)
def test_no_forgotten_route_answers(anyone, client_of, path):
    for client in (anyone, client_of("operator")):
        assert client.get(path).status_code == 404
        assert client.post(path).status_code == 404


def test_the_schema_names_every_route_and_which_are_open_to_all():
    open_to_all = {
        path for path, _, operation in OPERATIONS if operation.get("security") in (None, [], [{}])
    }
    public = {rule.route for rule in RULES if rule.public} - {"schema", "docs"}

    assert len(open_to_all) == len(public)
    assert len(OPERATIONS) == len({(rule.route, rule.method) for rule in RULES}) - 2


# API10: Unsafe consumption of APIs. The service calls none; what others hand it are a cache, the
# headers of proxies, and spreadsheets.


class Trapped:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_what_somebody_else_put_into_the_cache_is_never_run(redis, redis_url, tmp_path):
    folder = str(tmp_path / "made")
    cache = RedisCache(redis_url, {"OPTIONS": {"serializer": JSONSerializer}})
    cache.set("facilities", [{"id": 1, "name": "Korle"}])
    assert cache.get("facilities") == [{"id": 1, "name": "Korle"}]
    [key] = redis.keys()

    redis.set(key, pickle.dumps(Trapped(folder)))

    with pytest.raises(ValueError, match="line 1"):
        cache.get("facilities")
    assert not os.path.exists(folder)
    cache.close()
