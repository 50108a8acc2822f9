"""docs/ names commands that there are, and those that can be copied run as they stand."""

import os
import re
import subprocess

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands

from tests.support.curl import write_stand_in_for_curl
from tests.support.service import serving

GUIDE = (settings.BASE_DIR / "docs" / "operations.md").read_text()
PAGES = sorted((settings.BASE_DIR / "docs").glob("*.md"))

# ab, as far as the guide's command goes: one request, whose failure is its own.
AB = """#!/bin/sh
for url; do :; done
while [ "$1" != -H ]; do shift; done
exec curl -sf -H "$2" "$url"
"""


def test_every_recipe_that_a_page_names_is_one():
    recipes = set(
        re.findall(r"^([a-z-]+):.*##", (settings.BASE_DIR / "Makefile").read_text(), re.MULTILINE)
    )
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }
    # .env is made by a recipe that comes with the stack.
    assert {"upgrade", "rollback", "backup", "restore", "rotate-key", "outage-check"} <= named
    assert named - {"env"} <= recipes


def test_every_command_that_a_page_names_is_one():
    named = {
        name
        for page in PAGES
        for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text(), re.MULTILINE)
    }
    assert {"show_connections", "show_slow_statements", "set_session_defaults"} <= named
    assert {"export_patient", "apply_retention"} <= named
    assert named <= get_commands().keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.django_db(transaction=True)
def test_the_load_test_runs_as_it_stands(tmp_path):
    [script] = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    write_stand_in_for_curl(tmp_path)
    (tmp_path / "ab").write_text(AB)
    (tmp_path / "ab").chmod(0o755)
    call_command("load_demo", referrals=20, verbosity=0)

    with serving() as (host, port):
        finished = subprocess.run(
            ["sh", "-eu", "-c", script],
            env={
                **os.environ,
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
                "BASE": f"http://{host}:{port}",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert finished.returncode == 0, finished.stderr
    assert "Referrals retrieved successfully" in finished.stdout
