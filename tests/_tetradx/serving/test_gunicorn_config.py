import os
import runpy

import pytest
from django.conf import settings

GIB = 1024**3


def config():
    return runpy.run_path(str(settings.BASE_DIR / "gunicorn_config.py"))


@pytest.mark.parametrize(
    ("host", "bind"),
    [("127.0.0.1", "127.0.0.1:8312"), ("::1", "[::1]:8312"), ("0.0.0.0", "0.0.0.0:8312")],  # noqa: S104
)
def test_gunicorn_listens_where_host_and_port_say(monkeypatch, host, bind):
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PORT", "8312")
    assert config()["bind"] == [bind]


@pytest.mark.parametrize(
    ("processors", "memory", "workers"),
    [(2, None, 5), (4, 8 * GIB, 9), (4, GIB, 7), (2, GIB // 2, 3), (8, GIB // 8, 1)],
)
def test_there_are_as_many_workers_as_processors_and_memory_allow(
    monkeypatch, processors, memory, workers
):
    monkeypatch.delenv("GUNICORN_WORKERS", raising=False)
    monkeypatch.setattr("_tetradx.serving.cgroup.processors", lambda: processors)
    monkeypatch.setattr("_tetradx.serving.cgroup.memory_bytes", lambda: memory)
    assert config()["workers"] == workers


def test_a_named_number_of_workers_wins(monkeypatch):
    monkeypatch.setenv("GUNICORN_WORKERS", "3")
    assert config()["workers"] == 3


@pytest.fixture
def _no_metrics(monkeypatch):
    for name in ("METRICS_TOKEN", "METRICS_ADDRESS", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_metrics")
def test_metrics_have_an_address_of_their_own_where_one_is_set(monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/run/metrics")
    monkeypatch.setenv("METRICS_ADDRESS", "10.0.0.5:9464")

    assert config()["bind"][1:] == ["10.0.0.5:9464"]


@pytest.mark.usefixtures("_no_metrics")
def test_workers_keep_no_metrics_unless_somebody_asks_for_them():
    assert config()["measured"] is False
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


@pytest.mark.usefixtures("_no_metrics")
def test_each_service_of_a_machine_keeps_its_metrics_in_a_folder_of_its_own(monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setenv("METRICS_TOKEN", "m" * 20)

    assert config()["measured"] is True
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"].endswith(f"tetradx-metrics-{os.getpid()}")
