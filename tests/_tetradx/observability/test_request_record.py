import re

import pytest
from django.http import HttpResponse
from django.test import Client

from _tetradx.observability.request_record import in_flight
from tests.factories import PractitionerFactory

pytestmark = pytest.mark.django_db

LIST = "/api/medics/referrals/practitioner"


def test_the_environment_of_the_request_says_whose_it_was_and_what_it_cost(ama, signed_in):
    environ = signed_in(ama).get(LIST).wsgi_request.META

    assert environ["tetradx.user_id"] == str(ama.pk)
    assert environ["tetradx.queries"] == 2
    assert environ["tetradx.sql_ms"] > 0
    assert environ["tetradx.address"] == "127.0.0.1"
    assert environ["tetradx.request_id"] == environ["tetradx.request_id"].strip()


def test_an_operator_of_the_admin_site_is_named(client: Client):
    operator = PractitionerFactory(is_staff=True, is_superuser=True)
    client.force_login(operator)

    assert client.get("/admin/").wsgi_request.META["tetradx.user_id"] == str(operator.pk)


def test_nobody_is_named_where_nobody_signed_in(anyone):
    assert anyone.get("/api/medics/facilities").wsgi_request.META["tetradx.user_id"] is None


def test_nothing_is_in_flight_once_it_is_answered(anyone, monkeypatch):
    def crash(*args):
        assert len(in_flight) == 1
        raise RuntimeError

    monkeypatch.setattr("medics.views.public.PublicListView.list_by_name", crash)
    with pytest.raises(RuntimeError):
        anyone.get("/api/medics/facilities")
    assert in_flight == {}


def test_a_slow_request_is_warned_of(ama, signed_in, settings, caplog):
    settings.SLOW_REQUEST_MS = 0
    signed_in(ama).get(f"{LIST}?search_query=abena")

    [warning] = caplog.messages
    assert re.fullmatch(
        rf"slow request: GET {LIST} took \d+ ms, \d+ of them in 3 queries;"
        rf" user_id={ama.pk}; repeated: none",
        warning,
    )


def test_a_request_with_many_queries_is_warned_of_with_those_that_repeat(
    anyone, settings, caplog, monkeypatch, laboratory
):
    def one_by_one(view, *args):
        for _ in range(3):
            list(type(laboratory).objects.filter(name=laboratory.name))
        return HttpResponse()

    settings.MANY_QUERIES = 3
    monkeypatch.setattr("medics.views.public.PublicListView.list_by_name", one_by_one)
    anyone.get("/api/medics/facilities")

    [warning] = [message for message in caplog.messages if message.startswith("many queries")]
    assert "repeated: 3 x SELECT" in warning
    assert '"medics_facility"."name" = %s' in warning
    assert laboratory.name not in warning


def test_an_ordinary_request_is_not(ama, signed_in, caplog):
    signed_in(ama).get(LIST)
    assert caplog.messages == []


def test_statements_are_shown_at_debug_without_their_values(ama, signed_in, caplog):
    caplog.set_level("DEBUG", "tetradx.sql")
    signed_in(ama).get(f"{LIST}?search_query=zwennes")

    shown = [record for record in caplog.records if record.name == "tetradx.sql"]
    assert len(shown) == 3
    assert all(re.match(r"\d+\.\d ms: \w+ ", record.getMessage()) for record in shown)
    assert "zwennes" not in caplog.text
