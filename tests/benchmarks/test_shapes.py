import pytest
from django.core.management import call_command
from django.db import connection

from benchmarks import shapes
from benchmarks.loading import load
from benchmarks.management.commands import bench
from benchmarks.shapes import SHAPES, Shape, compare
from tests.support.database import database_url


@pytest.mark.django_db(transaction=True)
def test_each_shape_serves_and_is_measured(monkeypatch, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    monkeypatch.setenv("DATABASE_URL", database_url())
    for variable in ("CLASS", "WORKERS", "THREADS"):
        monkeypatch.setenv(f"GUNICORN_{variable.replace('CLASS', 'WORKER_CLASS')}", "")
    monkeypatch.setattr(shapes, "use_database", lambda referrals: load(referrals))
    monkeypatch.setattr(shapes, "requests_per_second", lambda *request, **limits: 300.0)
    connection.close()

    [row] = compare(referrals=60, shapes=[Shape("sync", 2, 1)], seconds=1)

    assert row["shape"] == "sync 2 x 1"
    assert row["lists_per_second"] == 300.0
    assert row["logins_per_second"] > 0
    assert row["list_p95_ms"] > 0


def test_the_command_compares_all_shapes(monkeypatch, tmp_path, settings, capsys):
    settings.STATIC_ROOT = tmp_path / "static"
    monkeypatch.setattr(bench.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    monkeypatch.setattr(
        bench,
        "compare",
        lambda *, referrals, shapes, seconds: [
            {"shape": str(shape), "lists_per_second": 1234.5} for shape in shapes
        ],
    )
    call_command("bench", shapes=True, sizes=[1000])
    written = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in written if "x" in line][:9] == ["1,234"] * 9
    assert len(SHAPES) == 9
    assert len(list(tmp_path.glob("*-shapes.json"))) == 1
