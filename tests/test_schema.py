"""The schema says what the service does, and the documentation needs nobody else's server."""

import re

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator

from tests.test_permissions import RULES

SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = [
    (path, method, operation)
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
]


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
