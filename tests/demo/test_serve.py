import os
import sys

import pytest
from django.core.management import call_command

from demo.logins import LOGINS, PASSWORD
from medics.models import Referral

pytestmark = pytest.mark.django_db


@pytest.fixture
def served(monkeypatch, settings, tmp_path):
    """The arguments of each program that serve became."""
    served = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: served.append(arguments))
    monkeypatch.setenv("HOST", "127.0.0.1")
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.chdir(tmp_path)
    settings.STATIC_ROOT = tmp_path / "static"
    return served


def test_serve_fills_the_database_and_becomes_gunicorn(served, settings):
    call_command("serve")
    assert served == [
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn_config.py", "_tetradx.wsgi:application"]
    ]
    assert os.getcwd() == str(settings.BASE_DIR)
    assert Referral.objects.exists()
    assert (settings.STATIC_ROOT / "admin").is_dir()


def test_serve_says_where_and_as_whom(served, capsys, settings):
    call_command("serve", autoreload=True)
    output = capsys.readouterr().out
    assert "http://127.0.0.1:8123/api/\n" in output
    assert "http://127.0.0.1:8123/api/docs/\n" in output
    assert f"http://127.0.0.1:8123/{settings.ADMIN_PATH}\n" in output
    assert PASSWORD in output
    for login in LOGINS:
        assert login.phone_number in output
        assert login.role in output


def test_serve_with_autoreload_becomes_runserver(served, settings):
    call_command("serve", autoreload=True)
    assert served == [[sys.executable, "manage.py", "runserver", "127.0.0.1:8123"]]
    assert not settings.STATIC_ROOT.exists()


def test_serve_writes_an_ipv6_address_in_brackets(served, capsys, monkeypatch):
    monkeypatch.setenv("HOST", "::1")
    call_command("serve", autoreload=True)
    assert served == [[sys.executable, "manage.py", "runserver", "[::1]:8123"]]
    assert "http://[::1]:8123/api/\n" in capsys.readouterr().out


def test_serve_a_second_time_keeps_the_data(served, capsys):
    call_command("load_demo", referrals=20, verbosity=0)
    call_command("serve", autoreload=True)
    assert Referral.objects.count() == 20
    assert "No demo data loaded." in capsys.readouterr().out
