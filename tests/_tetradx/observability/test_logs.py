import logging
import re

import psycopg2
import pytest
from django.db import DataError, IntegrityError, connection, transaction
from rest_framework.test import APIClient

from _tetradx.observability.logs import LineFormatter, database_fault
from medics.models import Patient, Referral
from tests.support.logs import written_by

pytestmark = pytest.mark.django_db

# Named here, since a traceback shows the lines that it passes.
NOTES = "Known to be HIV positive"
PATIENT = "Akosua Mensah"


@pytest.fixture
def log():
    """What the service writes to its log."""
    with written_by("django", LineFormatter) as lines:
        yield lines


def break_rule():
    """Makes PostgreSQL quote a row with a patient's notes: "Failing row contains (…)"."""
    Referral.objects.update(clinical_notes=NOTES, status="Lost")


def test_a_line_carries_the_id_of_its_request(anyone, log):
    anyone.get("/api/nothing", headers={"X-Request-ID": "ama-1"})

    [line] = log.getvalue().splitlines()
    assert re.search(
        "WARNING django.request request_id=ama-1/[0-9a-f]{32} Not Found: /api/nothing$", line
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/x%20status=500%20user_id=1", {}),
        ("/api/x%0a2026-01-01T00:00:00.000Z%20INFO%20forged%20status=500", {}),
        ("/api/x%C2%85%E2%80%A8status=500", {}),
        ("/api/medics/facilities", {"Host": "evil.example status=500 "}),
        ("/admin/login/", {"Origin": "https://evil.example status=500 "}),
        (
            "/admin/login/",
            {"Referer": "https://evil.example/ status=500 ", "X-Forwarded-Proto": "https"},
        ),
    ],
)
def test_nothing_that_a_client_chose_looks_like_a_field_or_a_line(log, settings, path, headers):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    APIClient(enforce_csrf_checks=True).post(path, headers={"X-Request-ID": "ama-1", **headers})

    lines = log.getvalue().splitlines()
    assert lines
    # The second is Django's own of a forged host, with a traceback where that is wanted.
    for line in lines:
        assert " status=" not in line
    assert sum("request_id=ama-1/" in line for line in lines) == sum("Z " in line for line in lines)


def test_an_exception_is_told_on_one_line(log):
    error = ValueError("a\n2026-01-01T00:00:00.000Z INFO gunicorn.access forged")

    logging.getLogger("django.request").error("Failed", exc_info=error)

    assert "ValueError: a\\n2026-01-01" in log.getvalue()


def test_a_crash_is_logged_with_its_traceback_and_request(monkeypatch, log):
    def crash(**fields):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("authentication.services.create_account", crash)

    APIClient(raise_request_exception=False).post(
        "/api/auth/register",
        {"full_name": "Ama", "phone_number": "0244123456", "password": "Passw0rd!x"},
        headers={"X-Request-ID": "ama-1"},
    )

    assert re.search(
        "request_id=ama-1/[0-9a-f]{32} Internal Server Error: /api/auth/register", log.getvalue()
    )
    assert "Traceback" in log.getvalue()
    assert "RuntimeError: no such luck" in log.getvalue()


def test_a_traceback_does_not_quote_the_refused_row(referral, log):
    with pytest.raises(IntegrityError, match=NOTES) as caught, transaction.atomic():
        break_rule()

    logging.getLogger("django.request").error("Failed", exc_info=caught.value)

    assert NOTES not in log.getvalue()
    assert "Failing row" not in log.getvalue()
    assert "SQLSTATE 23514, constraint referral_status_is_known" in log.getvalue()
    assert "in break_rule" in log.getvalue()


def test_nor_where_another_error_came_of_it(referral, log):
    def fail():
        try:
            with transaction.atomic():
                break_rule()
        except IntegrityError as error:
            raise RuntimeError("while changing") from error

    with pytest.raises(RuntimeError) as caught:
        fail()

    logging.getLogger("django.request").error("Failed", exc_info=caught.value)

    assert NOTES not in log.getvalue()
    assert "RuntimeError: while changing" in log.getvalue()


def test_nor_where_another_error_came_while_it_was_handled(referral, log):
    def fail():
        try:
            with transaction.atomic():
                break_rule()
        except IntegrityError:
            {}["missing"]

    with pytest.raises(KeyError) as caught:
        fail()

    logging.getLogger("django.request").error("Failed", exc_info=caught.value)

    assert NOTES not in log.getvalue()
    assert "KeyError: 'missing'" in log.getvalue()


def test_a_refused_value_is_not_quoted_either(log):
    with pytest.raises(DataError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT %s::integer", [PATIENT])

    logging.getLogger("django.request").error("Failed", exc_info=caught.value)

    assert PATIENT not in log.getvalue()
    assert "SQLSTATE 22P02" in log.getvalue()


def test_a_refused_write_through_the_orm_is_not_quoted_either(log):
    with pytest.raises(DataError) as caught, transaction.atomic():
        Patient.objects.create(full_name_or_id=PATIENT * 100)

    logging.getLogger("django.request").error("Failed", exc_info=caught.value)

    assert PATIENT not in log.getvalue()


def test_requests_that_fail_are_logged_without_what_they_sent(anyone, log):
    anyone.post(
        "/api/auth/login", {"phone_number": "0244123456", "password": "Passw0rd!x", "extra": "\x00"}
    )

    assert "Bad Request: /api/auth/login" in log.getvalue()
    assert "Passw0rd!x" not in log.getvalue()
    assert "0244123456" not in log.getvalue()


def test_why_the_database_cannot_be_reached_is_said():
    with pytest.raises(psycopg2.OperationalError) as refused:
        psycopg2.connect("host=127.0.0.1 port=1 dbname=tetradx connect_timeout=2")
    assert "port 1 failed" in database_fault(refused.value)
