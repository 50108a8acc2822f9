"""Who may do what with whose row: the whole table. A route that is not in it fails a test."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.views import APIView

from medics.models import Referral
from tests.factories import (
    PASSWORD,
    FacilityBranchFactory,
    FacilityFactory,
    PractitionerFactory,
    TechnicianFactory,
)

# The referral is Ama's, to Kofi's branch of the laboratory that Efua administers.
ROLES = {
    "anonymous": "nobody",
    "ama": "the referral's practitioner",
    "yaw": "another practitioner",
    "kofi": "technician of the referral's branch",
    "colleague": "technician of another branch of the laboratory",
    "stranger": "technician of another laboratory",
    "efua": "administrator of the laboratory",
    "rival": "administrator of another laboratory",
    "operator": "operator of the admin site, otherwise a practitioner",
    "newcomer": "technician of the branch who must change the password",
    "disabled": "technician of the branch whose account is switched off",
}

SIGNED_IN = ["ama", "yaw", "kofi", "colleague", "stranger", "efua", "rival", "operator"]
PRACTITIONERS = ["ama", "yaw", "operator"]
TECHNICIANS = ["kofi", "colleague", "stranger", "efua", "rival"]
CONCERNED = ["ama", "kofi", "efua"]


@dataclass
class Rule:
    """What a route answers: `status` to the roles in `allowed`, `refused` to other users."""

    route: str
    method: str
    status: int
    allowed: list[str]
    refused: int = 400
    path: dict[str, str] = field(default_factory=dict)
    body: Any = None
    public: bool = False

    def expected(self, role: str) -> int:
        if self.public or role in self.allowed:
            return self.status
        return {"anonymous": 401, "disabled": 401, "newcomer": 403}.get(role, self.refused)

    def __str__(self) -> str:
        return f"{self.method} {self.route}"


BRANCH, TEST = {"branch_id": "{branch}"}, {"referral_test_id": "{referral_test}"}
NEW_PASSWORD = "An0ther-pass"
NEW_TYPE = {"name": "Serology", "tests": [{"name": "VDRL"}]}

RULES = [
    # Public, with or without a token; an empty body is refused for what it is.
    Rule("auth:user-register", "post", 400, [], public=True),
    Rule("auth:login", "post", 400, [], public=True),
    Rule("auth:token-refresh", "post", 400, [], public=True),
    Rule("auth:client-refresh", "post", 400, [], public=True),
    Rule("auth:logout", "post", 400, [], public=True),
    Rule("medics:get-facilities", "get", 200, [], public=True),
    Rule(
        "medics:get-branches-by-facility",
        "get",
        200,
        [],
        public=True,
        path={"facility_id": "{facility}"},
    ),
    Rule(
        "medics:get-test-types-by-facility",
        "get",
        200,
        [],
        public=True,
        path={"facility_id": "{facility}"},
    ),
    Rule(
        "medics:get-tests-by-test-type",
        "get",
        200,
        [],
        public=True,
        path={"test_type_id": "{test_type}"},
    ),
    Rule("schema", "get", 200, [], public=True),
    Rule("docs", "get", 200, [], public=True),
    # Everybody's own account
    Rule(
        "medics:change-password",
        "post",
        200,
        [*SIGNED_IN, "newcomer"],
        body={
            "current_password": PASSWORD,
            "new_password": NEW_PASSWORD,
            "confirm_new_password": NEW_PASSWORD,
        },
    ),
    # A facility's administrator, at that facility
    Rule("medics:add-branch", "post", 201, ["efua", "rival"], body={"name": "Legon"}),
    Rule("medics:get-branches", "delete", 200, ["efua"], path=BRANCH),
    Rule(
        "medics:add-lab-technician",
        "post",
        201,
        ["efua"],
        body={
            "full_name": "Adjoa",
            "phone_number": "0209999999",
            "password": PASSWORD,
            "branch_id": "{branch}",
        },
    ),
    Rule("utilities:add-test-types", "post", 200, ["efua", "rival"], body=NEW_TYPE),
    Rule(
        "utilities:add-test-types",
        "post",
        200,
        ["efua", "rival", "operator"],
        body={**NEW_TYPE, "facility_ids": ["{facility}"]},
    ),
    # Referrals
    Rule(
        "medics:create-referral",
        "post",
        201,
        PRACTITIONERS,
        body={
            "patient_full_name_or_id": "Abena",
            "tests": ["{test}"],
            "branch_id": "{branch}",
        },
    ),
    Rule("medics:get-practitioner-referrals", "get", 200, PRACTITIONERS),
    Rule("medics:get-technician-referrals", "get", 200, TECHNICIANS),
    Rule(
        "medics:get-update-referral",
        "get",
        200,
        CONCERNED,
        refused=403,
        path={"referral_id": "{referral}"},
    ),
    Rule(
        "medics:get-update-referral",
        "put",
        200,
        CONCERNED,
        refused=403,
        path={"referral_id": "{referral}"},
        body={"status": "Received"},
    ),
    Rule(
        "medics:update-test-status",
        "put",
        200,
        CONCERNED,
        path=TEST,
        body={"status": "Received"},
    ),
]


@pytest.fixture
def people(ama, yaw, kofi, efua, laboratory, branch):
    rival = TechnicianFactory()
    elsewhere = FacilityBranchFactory(facility=FacilityFactory(admin=rival))
    return {
        "ama": ama,
        "yaw": yaw,
        "kofi": kofi,
        "colleague": TechnicianFactory(branches=[FacilityBranchFactory(facility=laboratory)]),
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


def filled(value, ids):
    """`value` with every "{name}" in it replaced by the id of that name."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return value.format(**ids) if isinstance(value, str) else value


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
