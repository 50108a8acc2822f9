"""The service holds to the table of tests/support/access_rules.py, which every route is in."""

from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.views import APIView

from authentication.models import Session, User
from authentication.services import open_session
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Referral,
    ReferralTest,
    TestType,
)
from tests.factories import (
    PASSWORD,
    FacilityBranchFactory,
    ReferralFactory,
    TestFactory,
    TestTypeFactory,
)
from tests.support.access_rules import CONCERNED, ROLES, RULES, SIGNED_IN, Rule, filled


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_role_gets_what_the_table_says(rule, role, client_of, ids):
    url = reverse(rule.route, kwargs=filled(rule.path, ids))
    answer = getattr(client_of(role), rule.method)(url, filled(rule.body, ids))
    assert answer.status_code == rule.expected(role), answer.content


@pytest.mark.parametrize("role", SIGNED_IN)
def test_a_method_that_a_route_lacks_is_405_to_every_role(role, client_of, ids):
    client = client_of(role)
    for rule in RULES:
        answer = client.patch(reverse(rule.route, kwargs=filled(rule.path, ids)))
        assert answer.status_code == 405, rule
        assert rule.method.upper() in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("route", "seen_by"),
    [
        ("medics:get-practitioner-referrals", ["ama"]),
        ("medics:get-technician-referrals", ["kofi", "efua"]),
    ],
)
def test_a_list_shows_the_referral_to_those_concerned_alone(route, seen_by, client_of, ids):
    seen = []
    for role in SIGNED_IN:
        answer = client_of(role).get(reverse(route))
        if answer.status_code == 200 and answer.json()["data"]["referrals"]:
            seen.append(role)
    assert seen == seen_by


def test_visible_to_agrees_with_the_table(people, referral):
    visible = [role for role in SIGNED_IN if Referral.objects.visible_to(people[role]).exists()]
    assert visible == CONCERNED


# What the probes and the metrics tell


@pytest.mark.parametrize("role", ROLES)
def test_probes_answer_everybody_and_metrics_nobody_who_signs_in(role, client_of, measured):
    client = client_of(role)

    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/metrics").status_code == 401


# A closed branch


def test_technicians_of_a_closed_branch_finish_what_was_referred_to_it_and_no_more(
    signed_in, kofi, people, referral, branch
):
    branch.is_active = False
    branch.save()
    url = reverse("medics:get-update-referral", args=[referral.id])
    referrals = reverse("medics:get-technician-referrals")

    client = signed_in(kofi)
    [listed] = client.get(referrals).json()["data"]["referrals"]
    assert listed["referral_id"] == referral.id
    assert client.get(url).status_code == 200
    assert client.put(url, {"status": "Received"}).status_code == 200
    for role in ("colleague", "stranger", "yaw"):
        assert signed_in(people[role]).get(url).status_code == 403


# Nobody's role or owner is set through a body


def everything_about(yaw, rival) -> dict[str, Any]:
    """Keys that a client may hope to be believed in, beside those that a route asks for."""
    elsewhere = rival.administered_facility
    branch = elsewhere.branches.first()
    return {
        "id": 1,
        "referral_id": "A" * 10,
        "user": str(yaw.pk),
        "user_id": str(yaw.pk),
        "username": yaw.phone_number,
        "is_staff": True,
        "is_superuser": True,
        "is_active": False,
        "is_admin": True,
        "must_change_password": False,
        "user_type": "Patient",
        "status": "Completed",
        "groups": [1],
        "user_permissions": [1],
        "last_login": None,
        "date_joined": "2001-01-01T00:00:00Z",
        "created_at": "2001-01-01T00:00:00Z",
        "referred_at": "2001-01-01T00:00:00Z",
        "updated_at": "2001-01-01T00:00:00Z",
        "completed_at": "2001-01-01T00:00:00Z",
        "referred_by": str(yaw.pk),
        "referring_doctor": "Yaw Darko",
        "changed_by": str(yaw.pk),
        "admin": str(yaw.pk),
        "facility": elsewhere.pk,
        "facility_id": elsewhere.pk,
        "facility_branch": branch.pk,
        "patient": 1,
        "test": 1,
        "referral": "A" * 10,
        "session_id": "x",
    }


def rights() -> dict[str, list]:
    """Who is what, and whose is what."""
    return {
        "users": list(
            User.objects.order_by("pk").values_list(
                *("pk", "phone_number", "user_type", "must_change_password"),
                *("is_staff", "is_superuser", "is_active"),
            )
        ),
        "facilities": list(Facility.objects.order_by("pk").values_list("pk", "name", "admin")),
        "branches": list(
            FacilityBranch.objects.order_by("pk").values_list("pk", "facility", "name")
        ),
        "staff": list(
            BranchTechnician.objects.order_by("pk").values_list("user", "branch", "is_admin")
        ),
        "types": list(TestType.objects.order_by("pk").values_list("facility", "name")),
        "referrals": list(
            Referral.objects.order_by("referred_at").values_list(
                *("facility_branch", "patient__full_name_or_id", "referred_by", "status"),
            )
        ),
        "tests": list(
            ReferralTest.objects.order_by("pk").values_list("referral_id", "test", "status")
        ),
    }


REGISTERED = Rule(
    "auth:user-register",
    "post",
    201,
    [],
    public=True,
    body={"full_name": "Adjoa", "phone_number": "0209999999", "password": PASSWORD},
)
WRITES = [rule for rule in RULES if rule.body] + [REGISTERED]


@pytest.mark.parametrize("rule", WRITES, ids=str)
def test_what_a_body_adds_makes_nobody_more_and_nothing_somebody_elses(
    rule, client_of, ids, people, yaw
):
    role = rule.allowed[0] if rule.allowed else "anonymous"
    url = reverse(rule.route, kwargs=filled(rule.path, ids))
    body = filled(rule.body, ids)
    client = client_of(role)

    def made_by(body):
        """What the route answers and leaves behind, which is then undone."""
        before = rights()
        with transaction.atomic():
            answer = getattr(client, rule.method)(url, body)
            after = rights()
            transaction.set_rollback(True)
        assert answer.status_code == rule.status, answer.content
        return {
            subject: [row for row in rows if row not in before[subject]]
            for subject, rows in after.items()
        }

    plain = made_by(body)
    more = made_by({**everything_about(yaw, people["rival"]), **body})

    assert without_new_ids(more) == without_new_ids(plain)


def without_new_ids(rows: dict[str, list]) -> dict[str, list]:
    """The rows of users, facilities and branches without their own ids, which are new each time."""
    own = {"users", "facilities", "branches", "staff", "tests"}
    return {
        subject: [row[1:] if subject in own else row for row in found]
        for subject, found in rows.items()
    }


# What is another's and what is not there


def told(answer) -> tuple:
    """All that a client is told, but the id of its request."""
    headers = {name: value for name, value in answer.items() if name != "X-Request-ID"}
    return answer.status_code, headers, answer.content


@pytest.fixture
def another(people, laboratory):
    """Rows of the other laboratory."""
    elsewhere = people["rival"].administered_facility
    test = TestFactory(test_type=TestTypeFactory(facility=elsewhere))
    return {"branch": elsewhere.branches.get().pk, "test": test.pk}


NOT_THERE = 2_000_000_000

REFERRAL = {"patient_full_name_or_id": "Abena", "tests": ["{test}"], "branch_id": "{branch}"}
TECHNICIAN = {"full_name": "Adjoa", "phone_number": "0209999999", "password": PASSWORD}

# Who asks for what, where {row} is another's, or not there.
LOOK_ALIKES = [
    ("efua", "delete", "/api/medics/branches/deactivate/{row}", None, "branch"),
    (
        "efua",
        "post",
        "/api/medics/lab-technicians/add",
        {**TECHNICIAN, "branch_id": "{row}"},
        "branch",
    ),
    ("ama", "post", "/api/medics/referral", {**REFERRAL, "tests": ["{row}"]}, "test"),
    ("ama", "post", "/api/medics/referral", {**REFERRAL, "tests": ["{test}", "{row}"]}, "test"),
    ("yaw", "get", "/api/medics/referrals/practitioner?branch_id={row}", None, "branch"),
    ("kofi", "get", "/api/medics/referrals/technician?branch_id={row}", None, "branch"),
    ("efua", "get", "/api/medics/referrals/technician?branch_id={row}", None, "branch"),
]


@pytest.mark.parametrize(
    ("role", "method", "path", "body", "kind"),
    LOOK_ALIKES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_s_row_looks_like_one_that_is_not_there(
    client_of, ids, another, role, method, path, body, kind
):
    ReferralFactory(facility_branch_id=another["branch"])
    client = client_of(role)

    def ask(row):
        of_row = {**ids, "row": row}
        with transaction.atomic():
            answer = getattr(client, method)(filled(path, of_row), filled(body, of_row))
            transaction.set_rollback(True)
        return told(answer)

    assert ask(another[kind]) == ask(NOT_THERE)


def test_a_closed_branch_takes_no_referral_as_one_that_is_not_there(client_of, ids):
    closed = FacilityBranchFactory(facility_id=ids["facility"], is_active=False)
    client = client_of("ama")

    def ask(branch):
        body = filled(REFERRAL, {**ids, "branch": branch})
        return told(client.post(reverse("medics:create-referral"), body))

    assert ask(closed.pk) == ask(NOT_THERE)


def test_nobody_learns_by_a_search_what_others_have(client_of, ids):
    client = client_of("yaw")

    def ask(text):
        answer = client.get(reverse("medics:get-practitioner-referrals"), {"search_query": text})
        return told(answer)

    assert ask("Akosua") == ask(ids["referral"]) == ask("Nobody of this name")


def test_a_login_does_not_tell_who_has_an_account(anyone, people):
    def log_in(number, password):
        login = {"phone_number": number, "password": password}
        return told(anyone.post(reverse("auth:login"), login))

    wrong = log_in(people["ama"].phone_number, "Wr0ng-pass!")
    assert wrong[0] == 400
    assert wrong == log_in("0209999999", PASSWORD)
    assert wrong == log_in(people["disabled"].phone_number, PASSWORD)


def test_dead_tokens_look_alike(anyone, signed_in, people):
    """Whether a session is over, its user switched off or its row gone."""
    over = open_session(user=people["ama"])
    over_access = str(over.access_token)
    Session.objects.filter(id=over.session_id).end()
    gone = open_session(user=people["yaw"])
    gone_access = str(gone.access_token)
    Session.objects.filter(id=gone.session_id).delete()
    off = open_session(user=people["disabled"])
    off_access = str(off.access_token)

    refreshed = [
        told(anyone.post(reverse("auth:client-refresh"), {"refresh_token": str(token)}))
        for token in (over, gone, off)
    ]
    assert refreshed[0][0] == 400
    assert refreshed[0] == refreshed[1] == refreshed[2]
    used = []
    for token in (over_access, gone_access, off_access):
        anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        used.append(told(anyone.get(reverse("medics:get-practitioner-referrals"))))
    assert used[0][0] == 401
    assert used[0] == used[1] == used[2]


# No route is outside of the tables


def named_routes(patterns, namespace=""):
    """(name, method) of every view of the API."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from named_routes(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None)
            if view is not None and issubclass(view, APIView):
                for method in ("get", "post", "put", "patch", "delete"):
                    if hasattr(view, method):
                        yield f"{namespace}{pattern.name}", method


def test_every_route_is_in_the_table():
    assert set(named_routes(get_resolver().url_patterns)) == {
        (rule.route, rule.method) for rule in RULES
    }


def test_what_is_neither_api_nor_admin_site_is_a_way_to_the_documentation():
    others = [
        pattern
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern) and not hasattr(pattern.callback, "cls")
    ]

    assert [str(pattern.pattern) for pattern in others] == [""]
    resolvers = [pattern for pattern in get_resolver().url_patterns if pattern not in others]
    assert [str(p.pattern) for p in resolvers if isinstance(p, URLResolver)] == [
        "api/",
        "api/medics/",
        "api/utilities/",
        settings.ADMIN_PATH,
    ]
