"""The schema says what the service does, and the documentation needs nobody else's server."""

import re
from functools import reduce

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from authentication.models import UserType
from authentication.phone_numbers import clean_phone_number, validate_phone_number
from tests.support.access_rules import RULES
from tests.support.api_schema import OPERATIONS, SCHEMA


def each_operation(test):
    return pytest.mark.parametrize(
        ("path", "method", "operation"), OPERATIONS, ids=lambda value: str(value)[:60]
    )(test)


def test_every_route_is_in_the_schema():
    described = {(method, re.sub(r"\{\w+\}", "1", path)) for path, method, _ in OPERATIONS}
    routes = {
        (rule.method, reverse(rule.route, kwargs=dict.fromkeys(rule.path, "1")))
        for rule in RULES
        if rule.route not in {"schema", "docs"}
    }
    assert described == routes


@each_operation
def test_every_operation_has_examples(path, method, operation):
    bodies = [*operation["responses"].values(), operation.get("requestBody")]
    for body in filter(None, bodies):
        assert body["content"]["application/json"]["examples"]


@each_operation
def test_every_operation_says_which_errors_there_are(path, method, operation):
    errors = [code for code in operation["responses"] if code >= "400"]
    assert {"400", "503"} <= set(errors)
    for code in errors:
        schema = operation["responses"][code]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Error"}


def links(operation):
    for response in operation["responses"].values():
        for link in response.get("links", {}).values():
            [example, *_] = response["content"]["application/json"]["examples"].values()
            yield link, example["value"]


def at(place, answer):
    """The value at a link's `$response.body#/data/0/id`."""
    keys = place.removeprefix("$response.body#/").split("/")
    return reduce(lambda value, key: value[int(key) if key.isdigit() else key], keys, answer)


@each_operation
def test_what_an_answer_leads_to_can_be_asked_with_its_values(path, method, operation):
    targets = {target["operationId"]: target for _, _, target in OPERATIONS}
    for link, answer in links(operation):
        target = targets[link["operationId"]]
        parameters, body = link.get("parameters", {}), link.get("requestBody", {})
        assert parameters.keys() <= {known["name"] for known in target.get("parameters", [])}
        if body:
            assert body.keys() <= properties_of_request(target).keys()
        for place in [*parameters.values(), *body.values()]:
            assert at(place, answer)


def properties_of_request(operation):
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return SCHEMA["components"]["schemas"][reference.split("/")[-1]]["properties"]


def test_the_main_job_is_linked():
    leads_to = {
        operation["operationId"]: {link["operationId"] for link, _ in links(operation)}
        for _, _, operation in OPERATIONS
    }
    assert "auth_token_refresh_create" in leads_to["auth_login_create"]
    assert "auth_logout_create" in leads_to["auth_token_refresh_create"]
    assert "medics_facilities_test_types_list" in leads_to["medics_facilities_list"]
    assert "medics_test_types_tests_list" in leads_to["medics_facilities_test_types_list"]
    assert leads_to["medics_referral_create"] == {
        "medics_referral_retrieve",
        "medics_referral_update",
        "medics_referral_tests_status_update",
    }


def test_who_logged_in_is_one_of_the_two_kinds():
    kinds = [
        set(SCHEMA["components"]["schemas"][f"{name}UserTypeEnum"]["enum"])
        for name in ("LoggedInTechnician", "LoggedInUser")
    ]
    assert set.union(*kinds) == set(UserType.values)
    assert set.intersection(*kinds) == set()


def test_an_empty_text_and_an_empty_list_are_shown_as_refused():
    form = SCHEMA["components"]["schemas"]["CreateReferralForm"]["properties"]
    assert form["patient_full_name_or_id"]["minLength"] == 1
    assert form["tests"]["minItems"] == 1
    assert "minLength" not in form["clinical_notes"]


@pytest.mark.parametrize(
    ("number", "is_one"),
    [
        ("0244123456", True),
        (" [+233] (24)-412.3456\n", True),
        ("024\N{NO-BREAK SPACE}412\N{EN DASH}3456", True),
        ("123456", False),
        ("1234567890123456", False),
        ("++1234567", False),
        ("024412345a", False),
        ("024412345\N{ARABIC-INDIC DIGIT SIX}", False),
    ],
)
def test_the_pattern_of_a_phone_number_is_what_is_accepted(number, is_one):
    field = SCHEMA["components"]["schemas"]["RegisterForm"]["properties"]["phone_number"]
    assert bool(re.search(field["pattern"], number)) is is_one
    if is_one:
        assert validate_phone_number(clean_phone_number(number)) is None


def test_the_docs_page_loads_its_assets_from_here(anyone):
    page = anyone.get(reverse("docs")).content.decode()
    *assets, script = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert script == f"{reverse('docs')}?script="
    assert assets
    for asset in assets:
        assert asset.startswith("/static/")
        assert finders.find(asset.removeprefix("/static/"))


def test_the_schema_is_served(anyone):
    answer = anyone.get(reverse("schema"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/vnd.oai.openapi")


def test_the_front_page_leads_to_the_docs(anyone):
    assert anyone.get("/").headers["Location"] == reverse("docs")
