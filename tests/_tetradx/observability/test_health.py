"""/healthz says whether the process answers, /readyz whether it can serve and what it lacks."""

import logging
import socket
import tomllib

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tests.support.caches import AwayCache, FullCache, backend

READY = {"database": "ok", "migrations": "ok", "cache": "ok"}


def assert_not_ready(answer, **parts):
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "parts": {**READY, **parts}}


@pytest.fixture
def database_at(monkeypatch):
    """Makes the database that of another address."""

    def database_at(host, port=""):
        monkeypatch.setitem(connection.settings_dict, "HOST", host)
        monkeypatch.setitem(connection.settings_dict, "PORT", port)

    return database_at


def test_a_process_that_answers_is_healthy_without_a_database(anyone):
    """pytest-django refuses a test without the mark its database."""
    answer = anyone.get("/healthz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": django_settings.VERSION}


def test_the_version_is_the_projects():
    project = tomllib.loads((django_settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    assert project["version"] == django_settings.VERSION


@pytest.mark.django_db
def test_a_service_that_has_all_its_parts_is_ready(anyone):
    answer = anyone.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "parts": READY}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_comes_by_any_address_and_without_tls(anyone, settings, path):
    settings.ALLOWED_HOSTS = ["api.example"]
    settings.SECURE_SSL_REDIRECT = True

    answer = anyone.get(path, headers={"Host": "172.17.0.2:8000"})

    assert answer.status_code == 200
    assert anyone.get("/api/docs/", headers={"Host": "172.17.0.2:8000"}).status_code != 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_an_answer_to_a_probe_is_for_the_moment(anyone, path):
    answer = anyone.get(path, headers={"X-Request-ID": "probe-1"})

    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Request-ID"] == "probe-1"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_only_looks(anyone, path):
    assert anyone.head(path).status_code == 200
    assert anyone.post(path).status_code == 405


@pytest.mark.django_db
def test_a_database_that_is_gone_is_named(anyone, database_at, caplog):
    database_at("/nowhere")

    with caplog.at_level(logging.WARNING, "tetradx.health"):
        answer = anyone.get("/readyz")

    assert_not_ready(answer, database="failed", migrations="unknown")
    assert "/nowhere" in caplog.text
    assert b"nowhere" not in answer.content


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_not_waited_for(
    anyone, database_at, monkeypatch, caplog
):
    monkeypatch.setattr("_tetradx.observability.health.DATABASE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as frozen, caplog.at_level(logging.WARNING):
        database_at(*frozen.getsockname())
        answer = anyone.get("/readyz")

    assert_not_ready(answer, database="failed", migrations="unknown")
    assert "no answer in time" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_is_not_applied_is_pending(anyone, caplog):
    [newest] = MigrationLoader(connection).graph.leaf_nodes("medics")
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*newest)
    try:
        answer = anyone.get("/readyz")
    finally:
        recorder.record_applied(*newest)

    assert_not_ready(answer, migrations="pending")
    assert ".".join(newest) in caplog.text
    assert anyone.get("/readyz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_never_migrated_is_pending(anyone):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO hidden")
        try:
            answer = anyone.get("/readyz")
        finally:
            cursor.execute("ALTER TABLE hidden RENAME TO django_migrations")

    assert_not_ready(answer, migrations="pending")


@pytest.mark.django_db
@pytest.mark.parametrize("cache_class", [AwayCache, FullCache])
def test_a_cache_that_takes_nothing_is_named(anyone, cache_class):
    with backend(cache_class):
        assert_not_ready(anyone.get("/readyz"), cache="failed")


@pytest.mark.django_db
def test_whoever_can_do_without_a_part_leaves_it_out(anyone, database_at):
    with backend(AwayCache):
        answer = anyone.get("/readyz?exclude=cache")
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "parts": {**READY, "cache": "failed"}}

        database_at("/nowhere")
        assert anyone.get("/readyz?exclude=cache").status_code == 503
