"""What SECURITY.md and docs/threat-model.md point at is there."""

import re

import pytest
from django.conf import settings

BASE_DIR = settings.BASE_DIR
PAGES = {name: (BASE_DIR / name).read_text() for name in ("SECURITY.md", "docs/threat-model.md")}
README = (BASE_DIR / "README.md").read_text()
MAKEFILE = (BASE_DIR / "Makefile").read_text()


def quoted(pattern):
    return sorted(
        {found for page in PAGES.values() for found in re.findall(f"`({pattern})`", page)}
    )


@pytest.mark.parametrize("path", quoted(r"[\w./-]+\.(?:py|md|txt)"))
def test_each_file_is_there(path):
    assert (BASE_DIR / path).is_file()


@pytest.mark.parametrize("name", quoted(r"[A-Z]+(?:_[A-Z]+)+"))
def test_each_setting_is_explained_in_the_readme(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("target", quoted(r"make [a-z-]+"))
def test_each_command_is_there(target):
    assert f"\n{target.removeprefix('make ')}: " in MAKEFILE


def test_each_defence_names_what_holds_it():
    table = PAGES["docs/threat-model.md"].split("## Where they come in")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    for row in rows:
        assert "`" in row.split("|")[4], row


def test_each_link_leads_somewhere():
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)", page):
            assert ((BASE_DIR / name).parent / target).is_file()
