"""Workers come and go; what they counted stays, in as many files as there are slots."""

import http.client
import os
from contextlib import closing
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from _tetradx.observability import worker_slots
from _tetradx.observability.metrics import count_worker_start
from tests.support.ports import free_port
from tests.support.service import serving

REQUESTS = 30


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


def new_worker(*others):
    worker = SimpleNamespace()
    worker_slots.assign(worker, others)
    return worker


def test_each_worker_has_a_slot_of_its_own(folder):
    first = new_worker()
    second = new_worker(first)
    third = new_worker(first, second)

    assert [first.slot, second.slot, third.slot] == ["1", "2", "3"]


def test_the_slot_of_one_that_went_is_taken_first(folder):
    first = new_worker()
    second = new_worker(first)

    assert new_worker(second).slot == "1"


def test_a_worker_says_that_it_is_there(monkeypatch):
    monkeypatch.setattr(worker_slots, "this_slot", worker_slots.this_slot)
    started = REGISTRY.get_sample_value("tetradx_worker_starts_total") or 0

    worker = SimpleNamespace(slot="7", cfg=SimpleNamespace(workers=2, threads=4))
    worker_slots.occupy(worker)
    count_worker_start(worker)

    assert worker_slots.this_slot == "7"
    assert REGISTRY.get_sample_value("tetradx_worker_starts_total") == started + 1
    assert REGISTRY.get_sample_value("tetradx_worker_threads") == 4
    assert REGISTRY.get_sample_value("tetradx_workers_configured") == 2


def test_counters_outlive_a_worker_and_what_it_was_at_does_not(folder):
    worker = new_worker()
    for name in ("counter_1.db", "gauge_liveall_1.db", "gauge_liveall_2.db"):
        (folder / name).touch()

    worker_slots.release(worker)

    assert {path.name for path in folder.iterdir()} == {"counter_1.db", "gauge_liveall_2.db"}


def test_a_service_that_starts_or_ends_forgets_what_was_counted(folder):
    for name in ("counter_1.db", "gauge_liveall_1.db"):
        (folder / name).touch()
    (folder / "of somebody else").touch()

    worker_slots.clear()
    assert [path.name for path in folder.iterdir()] == ["of somebody else"]

    worker_slots.remove()
    assert folder.exists()
    (folder / "of somebody else").unlink()
    worker_slots.remove()
    assert not folder.exists()


def get(host, port, path):
    with closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def samples(exposition):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


@pytest.mark.django_db(transaction=True)
def test_replaced_workers_lose_no_count_and_leave_no_files(tmp_path):
    folder, metrics_port = tmp_path / "metrics", free_port()
    with serving(
        METRICS_ADDRESS=f"127.0.0.1:{metrics_port}",
        PROMETHEUS_MULTIPROC_DIR=str(folder),
        GUNICORN_MAX_REQUESTS="10",
    ) as (host, port):
        for _ in range(REQUESTS):
            assert get(host, port, "/api/medics/facilities")[0] == 200
        assert get(host, port, "/metrics")[0] == 404
        assert get(host, metrics_port, "/healthz")[0] == 404
        status, exposition = get(host, metrics_port, "/metrics")
        files = sorted(os.listdir(folder))

    assert status == 200
    found = samples(exposition)
    responses = "django_http_responses_total_by_status_view_method_total"
    assert found[responses, "GET", "200", "medics:get-facilities"] == REQUESTS
    assert found["tetradx_request_queries_count", "GET", "medics:get-facilities"] == REQUESTS
    assert found["tetradx_worker_starts_total",] > 2
    assert found["tetradx_workers_configured",] == 2
    of_workers = [key for key in found if key[0] == "tetradx_worker_threads"]
    assert {slot for _, slot in of_workers} <= {"1", "2"}
    assert {file.rpartition("_")[2] for file in files} <= {"1.db", "2.db"}
    assert not folder.exists()
