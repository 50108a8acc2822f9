"""The probes: /healthz tells whether the process answers, /readyz whether it can serve.

Their JSON is outside the API's envelope. It names the part that failed; the log says why.
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

# The cache has another second (settings.CACHES), so that a probe is answered in time even when
# neither of them answers.
DATABASE_SECONDS = 1.5


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok", "version": settings.VERSION})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answers 200 with status "ready", or 503 with "not ready"; both with the `parts`.

    A part that is named in `?exclude=` does not count, as with Kubernetes' own /readyz.
    """
    parts = states()
    excluded = request.GET.getlist("exclude")
    ready = all(state == "ok" for part, state in parts.items() if part not in excluded)
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "parts": parts}, status=200 if ready else 503
    )


def states() -> dict[str, str]:
    """State by part.

    `database` and `cache` are "ok" or "failed", `migrations` "ok", "pending" or "unknown".
    """
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
    """The (app, name) of migrations that no other depends on: where they are applied, all are."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes())
