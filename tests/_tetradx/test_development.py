"""What developers see, and nobody else."""

import re

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from _tetradx.middleware import DevelopmentMiddleware, RequestRecordMiddleware

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


def test_elsewhere_it_does_not(anyone):
    assert "Server-Timing" not in anyone.get("/api/medics/facilities")
