"""The metrics of /metrics: requests, by django-prometheus, workers and the database."""

import functools
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus.conf import PROMETHEUS_LATENCY_BUCKETS
from django_prometheus.exports import ExportToDjangoView
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from . import worker_slots
from .database_metrics import DatabaseCollector
from .request_record import RequestRecord

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
NO_VIEW = "<unnamed view>"
NUMBERS_OF_QUERIES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100)


class Metrics:
    """The metrics of this process.

    Two of the metrics of requests have the names of django-prometheus, for ready-made dashboards.
    Its own middleware keeps fifteen, at three times the cost, and makes a new series for any method
    that a client makes up.
    """

    def __init__(self) -> None:
        self.latency = Histogram(
            "django_http_requests_latency_seconds_by_view_method",
            "Histogram of request processing time labelled by view.",
            ["view", "method"],
            buckets=PROMETHEUS_LATENCY_BUCKETS,
        )
        self.responses = Counter(
            "django_http_responses_total_by_status_view_method",
            "Count of responses by status, view, method.",
            ["status", "view", "method"],
        )
        self.queries = Histogram(
            "tetradx_request_queries",
            "Histogram of the number of SQL statements of a request.",
            ["view", "method"],
            buckets=NUMBERS_OF_QUERIES,
        )
        self.sql_seconds = Counter(
            "tetradx_request_sql_seconds", "Time of requests in SQL.", ["view", "method"]
        )
        self.requests_in_flight = Gauge(
            "tetradx_worker_requests_in_flight",
            "Requests that a worker is at, each in one of its threads.",
            multiprocess_mode="liveall",
        )
        self.worker_threads = Gauge(
            "tetradx_worker_threads", "Threads of a live worker.", multiprocess_mode="liveall"
        )
        self.worker_started = Gauge(
            "tetradx_worker_started_timestamp_seconds",
            "When a live worker started.",
            multiprocess_mode="liveall",
        )
        self.workers_configured = Gauge(
            "tetradx_workers_configured",
            "Workers that there should be.",
            multiprocess_mode="livemax",
        )
        self.worker_starts = Counter(
            "tetradx_worker_starts", "Workers that started; replaced ones among them."
        )


@functools.cache
def metrics() -> Metrics:
    """Creates the metrics at the first call: with several workers that creates files."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        worker_slots.use_slot_files()
    return Metrics()


def count_worker_start(worker: Any) -> None:
    """Counts in the slot that the worker occupies. Runs in the worker, after the fork."""
    registered = metrics()
    registered.worker_starts.inc()
    registered.worker_started.set(time.time())
    registered.worker_threads.set(worker.cfg.threads)
    registered.workers_configured.set(worker.cfg.workers)


@functools.cache
def series(view: str, method: str, status: int) -> tuple[Histogram, Counter, Histogram, Counter]:
    """Caches the series of these labels: a look-up by labels costs more than an increment."""
    registered = metrics()
    return (
        registered.latency.labels(view, method),
        registered.responses.labels(str(status), view, method),
        registered.queries.labels(view, method),
        registered.sql_seconds.labels(view, method),
    )


class MetricsMiddleware:
    """Measures requests, in front of other middleware, whose refusals and time count, too.

    RequestRecordMiddleware comes before, and counts the statements.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self.in_flight = metrics().requests_in_flight

    def __call__(self, request: HttpRequest) -> HttpResponse:
        record: RequestRecord = request.record  # type: ignore[attr-defined]
        self.in_flight.inc()
        try:
            response = self.get_response(request)
        finally:
            self.in_flight.dec()
        # No text that a client makes up becomes a label: each would be a series for ever.
        view = request.resolver_match.view_name if request.resolver_match else NO_VIEW
        method = request.method if request.method in METHODS else "<invalid method>"
        latency, responses, queries, sql_seconds = series(view, method, response.status_code)
        latency.observe(record.seconds)
        responses.inc()
        queries.observe(record.queries)
        sql_seconds.inc(record.sql_seconds)
        return response


@never_cache
@require_safe
def exposition(request: HttpRequest) -> HttpResponse:
    """Answers in Prometheus' text format; 401 without METRICS_TOKEN, where that is set."""
    if settings.METRICS_TOKEN and not carries_the_token(request):
        return HttpResponse(
            status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="metrics"'}
        )
    response = ExportToDjangoView(request)
    of_this_scrape = CollectorRegistry()
    of_this_scrape.register(DatabaseCollector())
    response.content += generate_latest(of_this_scrape)
    return response


def carries_the_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and constant_time_compare(token, settings.METRICS_TOKEN)
