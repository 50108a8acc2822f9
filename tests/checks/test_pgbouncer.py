import pytest

from tests.checks import pgbouncer


def test_without_pgbouncer_the_package_is_named(monkeypatch):
    monkeypatch.setattr(pgbouncer.shutil, "which", lambda *_, **__: None)

    with (
        pytest.raises(SystemExit, match="apt-get install pgbouncer"),
        pgbouncer.pgbouncer(server=None),
    ):
        raise AssertionError("it runs")
