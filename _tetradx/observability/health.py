"""What probes ask: /healthz whether the process answers, /readyz whether it can serve.

JSON of their own, outside the API's envelope. They name the part that failed; the log says why.
"""

import functools
import logging

import psycopg2
from django.conf import settings
from django.core.cache import cache
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from _tetradx.db.bounded_query import rows_within

from .logs import database_fault

log = logging.getLogger("tetradx.health")

# Beside the second that the cache has (settings.CACHES): a probe is answered in time, too, when
# nobody answers the service.
DATABASE_SECONDS = 1.5


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok", "version": settings.VERSION})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 with status "ready", or 503 with "not ready"; either with the `parts`.

    A part that is named in `?exclude=` does not count, as with Kubernetes' own /readyz.
    """
    parts = states()
    excluded = request.GET.getlist("exclude")
    ready = all(state == "ok" for part, state in parts.items() if part not in excluded)
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "parts": parts}, status=200 if ready else 503
    )


def states() -> dict[str, str]:
    """Of `database` and `cache` "ok" or "failed", of `migrations` "ok", "pending" or "unknown"."""
    return {**states_of_database(), "cache": state_of_cache()}


def states_of_database() -> dict[str, str]:
    try:
        [applied] = rows_within(DATABASE_SECONDS, "SELECT app, name FROM django_migrations")
    except psycopg2.errors.UndefinedTable:
        applied = []
    except (psycopg2.Error, TimeoutError) as error:
        log.warning("The database does not answer: %s", fault(error))
        return {"database": "failed", "migrations": "unknown"}
    pending = leaf_migrations() - set(applied)
    if pending:
        log.warning("Not applied: %s", ", ".join(sorted(".".join(leaf) for leaf in pending)))
    return {"database": "ok", "migrations": "pending" if pending else "ok"}


def fault(error: psycopg2.Error | TimeoutError) -> str:
    return str(error) if isinstance(error, TimeoutError) else database_fault(error)


def state_of_cache() -> str:
    try:
        cache.set("readyz", "ok", timeout=60)
    except Exception as error:
        log.warning("The cache takes nothing: %s", type(error).__name__)
        return "failed"
    return "ok"


@functools.cache
def leaf_migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of those that no other depends on: where they are applied, all are."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes())
