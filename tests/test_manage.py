"""manage.py tells whoever runs it as it stands what it lacks, in one line."""

import subprocess
import sys

import pytest
from django.conf import settings

DEMO = {"ENVIRONMENT": "demo"}
SECRETS = {"SECRET_KEY": "secret-key" * 5, "JWT_SIGNING_KEY": "signing-jw" * 5}
STACK = {**SECRETS, "ALLOWED_HOSTS": "api.example", "DATABASE_URL": "postgres://db.example/tetradx"}


def run(*arguments, options=(), **variables):
    return subprocess.run(
        [sys.executable, *options, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "given", "missing"),
    [
        ([], {}, "Set the SECRET_KEY environment variable."),
        (["help"], {}, "Set the SECRET_KEY environment variable."),
        (["migrate"], SECRETS, "Set ALLOWED_HOSTS to the host names"),
        (["shell"], {**DEMO, **SECRETS}, "Set DATABASE_URL, or DB_NAME,"),
        (["no_such_command"], {"ENVIRONMENT": "staging"}, "ENVIRONMENT is 'staging';"),
        (["check"], {**STACK, "DEBUG": "true"}, "DEBUG is set:"),
    ],
)
def test_without_its_environment_it_says_in_one_line_what_to_do(arguments, given, missing):
    done = run(*arguments, **given)

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"manage.py: {missing}")
    assert "docker compose exec backend python manage.py" in line
    assert "ENVIRONMENT=demo" in line
    assert done.stdout == ""


def test_without_django_it_says_the_same():
    # -S: without the packages that are installed.
    done = run("migrate", options=["-S"])

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("manage.py: this Python has no Django. In the stack run")


def test_with_its_environment_it_runs():
    done = run("check", **STACK)
    assert done.returncode == 0, done.stderr
