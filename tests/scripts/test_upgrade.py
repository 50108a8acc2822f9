"""The recipes of an upgrade, in their order; docker is a stand-in that writes down its calls."""

import os
import subprocess

import pytest
from django.conf import settings
from django.db import connection

DOCKER = """#!/bin/sh
beside=$(dirname "$0")
echo "$@" >> "$beside/calls"
case $1 in inspect) echo sha256:running;; esac
if [ -e "$beside/fails" ]; then
    case $* in "$(cat "$beside/fails")"*) exit 1;; esac
fi
"""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def docker(tmp_path):
    """The stand-in: a file with its calls beside it, and one with what it fails at."""
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    return program


@pytest.fixture
def calls(docker):
    """What docker was called with."""
    return lambda: docker.with_name("calls").read_text().splitlines()


@pytest.fixture
def fail_at(docker):
    """Has docker fail when it is called with what begins so."""
    return docker.with_name("fails").write_text


@pytest.fixture
def make(calls, tmp_path, at_server, beside):
    """Runs make where docker is the stand-in; gives how it finished."""

    def make(*arguments, **variables):
        return subprocess.run(
            ["make", *arguments],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
                "BACKUPS": str(tmp_path / "backups"),
                "TETRADX_DB_EXEC": at_server,
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    return make


def test_an_upgrade_keeps_the_image_builds_backs_up_and_replaces(make, calls, tmp_path):
    done = make("upgrade")

    assert done.returncode == 0, done.stderr
    assert calls() == [
        "inspect --format {{.Image}} tetraDX-backend",
        "tag sha256:running tetradx-backend:previous",
        "compose build",
        "compose run --rm --no-deps migrate",
        "compose up --detach --wait",
    ]
    assert len(list((tmp_path / "backups").glob("*.dump"))) == 1


def test_without_a_backup_nothing_is_replaced(make, calls):
    assert make("upgrade", TETRADX_DB_EXEC="false").returncode != 0

    assert calls()[-1] == "compose build"


def test_without_its_migrations_nothing_is_replaced(make, calls, fail_at):
    fail_at("compose run")

    assert make("upgrade").returncode != 0
    assert calls()[-1] == "compose run --rm --no-deps migrate"


def test_a_rollback_puts_the_kept_image_back_and_leaves_the_database(make, calls):
    done = make("rollback")

    assert done.returncode == 0, done.stderr
    assert calls() == [
        "tag tetradx-backend:previous tetradx-backend:latest",
        "compose up --detach --wait --no-build --no-deps --force-recreate backend",
    ]


def test_roles_are_made_in_a_database_that_has_the_passwords_of_today(make, calls):
    assert make("roles").returncode == 0

    assert calls() == ["compose up --detach --wait db", "compose exec -T db sh"]


def test_a_backup_and_its_restore_are_recipes(make, tmp_path, referral):
    assert make("backup").returncode == 0
    [file] = (tmp_path / "backups").glob("*.dump")
    connection.close()

    done = make("restore", f"FILE={file}")

    assert done.returncode == 0, done.stderr
    assert "compared" in done.stdout
