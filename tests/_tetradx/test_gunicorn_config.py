import runpy

import pytest
from django.conf import settings


@pytest.mark.parametrize(
    ("host", "bind"),
    [("127.0.0.1", "127.0.0.1:8312"), ("::1", "[::1]:8312"), ("0.0.0.0", "0.0.0.0:8312")],  # noqa: S104
)
def test_gunicorn_listens_where_host_and_port_say(monkeypatch, host, bind):
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PORT", "8312")
    assert runpy.run_path(str(settings.BASE_DIR / "gunicorn_config.py"))["bind"] == bind
