"""Metrics that are read from the database at each scrape."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import psycopg2
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from _tetradx.db.bounded_query import rows_within

from .health import fault, states

log = logging.getLogger("tetradx.metrics")

SECONDS = 2.0

Families = Callable[[list[tuple]], Iterable[Metric]]


@dataclass(frozen=True)
class Question:
    sql: str
    families: Families


QUESTIONS: list[Question] = []


def database_metric(sql: str) -> Callable[[Families], Families]:
    """Decorates a function that makes metrics of the statement's rows, for /metrics.

    The cost of the statement must not grow with the number of referrals.
    """

    def ask(families: Families) -> Families:
        QUESTIONS.append(Question(sql, families))
        return families

    return ask


class DatabaseCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        parts = states()
        ready = GaugeMetricFamily(
            "tetradx_ready", "1 where /readyz calls the part ok.", labels=["part"]
        )
        for part, state in parts.items():
            ready.add_metric([part], state == "ok")
        yield ready
        if parts["database"] == parts["migrations"] == "ok":
            yield from answers()


def answers() -> Iterator[Metric]:
    try:
        answered = rows_within(SECONDS, *(question.sql for question in QUESTIONS))
    except (psycopg2.Error, TimeoutError) as error:
        log.warning("The database does not answer: %s", fault(error))
        return
    for question, rows in zip(QUESTIONS, answered, strict=True):
        yield from question.families(rows)


@database_metric("""
    SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()
    GROUP BY 1
""")
def connections(rows: list[tuple]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "tetradx_database_connections",
        "Connections to this database by their state, as pg_stat_activity counts them.",
        labels=["state"],
    )
    usual = ["active", "idle", "idle in transaction", "idle in transaction (aborted)"]
    for state, number in {**dict.fromkeys(usual, 0), **dict(rows)}.items():
        family.add_metric([state], number)
    yield family


@database_metric("""
    SELECT count(*), current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0)
    FROM pg_stat_activity WHERE backend_type = 'client backend'
""")
def connections_of_the_server(rows: list[tuple]) -> Iterator[Metric]:
    [(number, limit)] = rows
    yield GaugeMetricFamily(
        "tetradx_database_server_connections",
        "Connections to all databases of the server.",
        value=number,
    )
    yield GaugeMetricFamily(
        "tetradx_database_server_connections_limit",
        "How many the server gives to ordinary roles.",
        value=limit,
    )
