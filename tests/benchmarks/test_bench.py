import json
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from authentication.models import Session
from benchmarks import run as running
from benchmarks import servers
from benchmarks.loading import load
from benchmarks.management.commands import bench
from benchmarks.run import Measurement, growth, ratios, table
from benchmarks.servers import environment_of, remove_what_a_run_left
from medics.models import Patient, Referral, ReferralTest, StatusChange
from tests.factories import ReferralFactory
from tests.support.database import database_url

GOAL_LISTS = ("practitioner, 2,000", "technician, branch of 50,000", "one referral")


def measured(*, ratio=0.6, p50=2.0, referrals=1000):
    rows = [
        {
            "route": route,
            "statements": 4,
            "p50_ms": p50,
            "p95_ms": 1234.5,
            "per_second": 1000 * ratio,
            "floor_per_second": 1000.0,
            "ratio": ratio,
            "decisive": True,
            "flat": True,
        }
        for route in GOAL_LISTS
    ]
    rows.append({"route": "login", "p50_ms": 200.0, "p95_ms": 210.0})
    return {"referrals": referrals, "rows": rows, "worker_private_mib": 61.4}


@pytest.fixture
def bench_gives(monkeypatch, tmp_path, settings):
    """Lets the command take these for what it measured; gives the sizes that it asked for."""
    monkeypatch.setattr(bench.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(bench, "CHART", tmp_path / "performance.svg")
    settings.STATIC_ROOT = tmp_path / "static"
    asked = []

    def bench_gives(*runs):
        def run(**options):
            asked.append(options)
            return {"runs": list(runs)}

        monkeypatch.setattr(bench, "run", run)
        return asked

    return bench_gives


# The command


def test_quick_prints_the_ratios_last(bench_gives, capsys):
    asked = bench_gives(measured())
    call_command("bench", quick=True)
    assert asked == [{"sizes": [300_000], "quick": True}]
    last = capsys.readouterr().out.splitlines()[-3:]
    assert [line.strip() for line in last] == [f"0.60  {route}" for route in GOAL_LISTS]


def test_quick_fails_where_a_ratio_is_under_a_half(bench_gives, capsys):
    bench_gives(measured(ratio=0.49))
    with pytest.raises(CommandError, match=r"under 0\.5") as error:
        call_command("bench", quick=True)
    assert error.value.returncode == 1
    assert capsys.readouterr().out.splitlines()[-1] == "  0.49  one referral"


def test_without_quick_the_ratios_are_told_and_nothing_fails(bench_gives):
    asked = bench_gives(measured(ratio=0.2, p50=2), measured(ratio=0.2, p50=3))
    call_command("bench")
    assert asked == [{"sizes": [10_000, 100_000, 1_000_000], "quick": False}]


def test_the_results_are_written_and_the_chart_is_drawn(bench_gives, tmp_path, capsys):
    runs = [measured(referrals=1_000), measured(referrals=10_000, p50=3.0)]
    bench_gives(*runs)
    call_command("bench", "--sizes", "1000,10000")
    (written,) = (tmp_path / "results").iterdir()
    assert json.loads(written.read_text())["runs"] == runs
    assert (tmp_path / "performance.svg").read_text().startswith("<svg ")
    assert "  1.50  one referral" in capsys.readouterr().out.splitlines()


def test_a_quick_run_leaves_the_results_of_a_whole_one(bench_gives, tmp_path):
    bench_gives(measured())
    call_command("bench", sizes=[1000])
    call_command("bench", quick=True)
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_the_command_names_the_package_that_it_lacks(bench_gives, monkeypatch):
    asked = bench_gives(measured())
    monkeypatch.setattr(bench.shutil, "which", lambda program: None)
    with pytest.raises(CommandError, match="apache2-utils"):
        call_command("bench")
    assert asked == []


def test_the_command_refuses_to_run_in_production(bench_gives, settings):
    asked = bench_gives(measured())
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        call_command("bench")
    assert asked == []


# What it prints


def test_the_table_shows_what_was_measured_and_no_more():
    title, *lines, memory = table(measured()).splitlines()
    assert title.split() == [
        *("1,000", "referrals", "SQL", "p50", "ms", "p95", "ms", "req/s", "floor", "ratio")
    ]
    assert lines[0].split() == [
        *("practitioner,", "2,000", "4", "2.0", "1,234.5", "600", "1,000", "0.60")
    ]
    assert lines[-1].split() == ["login", "200.0", "210.0"]
    assert memory == "Private memory of a worker: 61 MiB at most"


def test_growth_and_ratios_are_those_of_the_largest_database():
    results = {"runs": [measured(p50=2.0, ratio=0.9), measured(p50=5.0), measured(p50=3.0)]}
    assert growth(results) == dict.fromkeys(GOAL_LISTS, 1.5)
    assert ratios(results) == dict.fromkeys(GOAL_LISTS, 0.6)


# The databases


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@host:5432/tetradx", "postgres://u:p@host:5432/other"),
        ("postgres://u@/tetradx?host=/a/b&port=1", "postgres://u@/other?host=/a/b&port=1"),
        ("postgres://u@%2Fa%2Fb/tetradx", "postgres://u@%2Fa%2Fb/other"),
    ],
)
def test_another_process_is_told_the_database(url, expected, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url)
    assert environment_of("other") == {"DATABASE_URL": expected}


def test_another_process_is_told_the_database_by_the_predecessors_variables(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert environment_of("other") == {"DB_NAME": "other"}


def test_what_a_run_left_is_removed_and_the_rest_stays(db):
    load(30)
    before = [list(model.objects.values_list().order_by("pk")) for model in (Referral, Patient)]
    referral = ReferralFactory(facility_branch_id=1)
    referral.status = "Received"
    referral.save()
    assert StatusChange.objects.exists()
    remove_what_a_run_left()
    after = [list(model.objects.values_list().order_by("pk")) for model in (Referral, Patient)]
    assert after == before
    assert ReferralTest.objects.count() == 90


# The measurement


@pytest.mark.django_db(transaction=True)
def test_every_row_is_measured(monkeypatch, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("GUNICORN_WORKERS", "2")
    rates = {"_tetradx.wsgi": 300.0, "benchmarks.floor:application": 500.0}
    addresses = {}

    @contextmanager
    def serving(application):
        with servers.serving(application) as (address, master):
            addresses[address] = application
            yield address, master

    def requests_per_second(address, path, token, **limits):
        return rates[addresses[address]]

    monkeypatch.setattr(running, "serving", serving)
    monkeypatch.setattr(running, "requests_per_second", requests_per_second)

    load(60)
    connection.close()
    measure = Measurement(quick=True, whole=True)
    measure.samples = {"number": 1, "seconds": 0}
    measure.load_seconds = 0.5
    results = {"referrals": 60, **measure.run()}

    names = [row["route"] for row in results["rows"]]
    assert len(set(names)) == len(names)
    assert {row["route"] for row in results["rows"] if row.get("decisive")} == set(GOAL_LISTS)
    assert ratios({"runs": [results]}) == dict.fromkeys(GOAL_LISTS, 0.6)
    assert all(row["p50_ms"] > 0 for row in results["rows"])
    lists = [row for row in results["rows"] if row.get("statements")]
    assert len(lists) == 27
    assert Referral.objects.count() > 60
    assert Session.objects.exists()
    assert table(results)
