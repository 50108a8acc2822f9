import json
import subprocess

import pytest

from tests.checks import audit

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
SKIPPED = {"name": "orjson", "skip_reason": "Dependency not found on PyPI: orjson (3.13.0)"}
VULNERABLE = {
    "name": "gunicorn",
    "version": "27.0.1",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["27.0.2"], "description": "…"}],
}


@pytest.fixture
def audit_finds(monkeypatch):
    def audit_finds(*packages, text=None):
        said = json.dumps({"dependencies": packages}) if text is None else text
        done = subprocess.CompletedProcess([], 0, stdout=said)
        monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)

    return audit_finds


def test_packages_without_a_vulnerability_pass(audit_finds, capsys):
    audit_finds(CLEAN, CLEAN)
    audit.main()
    assert capsys.readouterr().out == "2 packages audited, 0 with a known vulnerability\n"


def test_a_vulnerability_fails_and_is_named(audit_finds, capsys):
    audit_finds(CLEAN, VULNERABLE)
    with pytest.raises(SystemExit, match="1"):
        audit.main()
    assert "gunicorn 27.0.1: PYSEC-2026-1, mended by 27.0.2\n" in capsys.readouterr().out


def test_a_package_that_was_not_asked_about_fails(audit_finds):
    audit_finds(CLEAN, SKIPPED)
    with pytest.raises(SystemExit, match=r"NOT AUDITED: .* 1 of 2 packages.*orjson"):
        audit.main()


@pytest.mark.parametrize("text", ["", "ConnectionError", '{"dependencies": []}', "{}"])
def test_no_answer_fails(audit_finds, text):
    audit_finds(text=text)
    with pytest.raises(SystemExit, match="NOT AUDITED"):
        audit.main()
