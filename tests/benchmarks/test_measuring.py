import time
from itertools import count

import pytest
from django.urls import reverse

from benchmarks.measuring import (
    Latencies,
    PacedLoad,
    count_statements,
    private_mib,
    read_ab,
    time_requests,
)
from tests.factories import PASSWORD

AB_REPORT = """
Complete requests:      4000
Failed requests:        0
Keep-Alive requests:    3960
Requests per second:    812.34 [#/sec] (mean)
Time per request:       12.310 [ms] (mean)
"""


def test_the_rate_is_read_from_what_ab_prints():
    assert read_ab(AB_REPORT) == 812.34


def test_a_run_of_ab_with_refused_requests_measures_nothing():
    with pytest.raises(RuntimeError, match=r"Non-2xx responses: +12"):
        read_ab(AB_REPORT + "Non-2xx responses:      12\n")


def test_a_failed_run_of_ab_says_why():
    with pytest.raises(RuntimeError, match="Connection refused"):
        read_ab("", "apr_socket_recv: Connection refused (111)")


@pytest.mark.parametrize(("number", "p50", "p95"), [(1, 1, 1), (20, 10.5, 19), (100, 50.5, 95)])
def test_p50_is_the_median_and_p95_what_19_in_20_stay_within(number, p50, p95):
    latencies = Latencies([float(n) for n in range(number, 0, -1)])
    assert (latencies.p50, latencies.p95) == (p50, p95)


def test_requests_are_as_many_as_were_asked_for_after_one_to_warm_up():
    sent = count()
    assert len(time_requests(lambda: next(sent), number=5, seconds=60).samples) == 5
    assert next(sent) == 6


def test_slow_requests_are_given_up_after_three():
    sent = count()
    assert len(time_requests(lambda: next(sent), number=5, seconds=0).samples) == 3


def test_a_paced_load_sends_no_more_than_it_should():
    with PacedLoad(lambda n: lambda: None, clients=4, per_second=20) as load:
        time.sleep(0.5)
    # 20 a second for half a second, and one more of each client whose turn it just was.
    assert 0 < len(load.samples) <= 20 * load.seconds + 4
    assert load.result().per_second == len(load.samples) / load.seconds


def test_a_paced_load_raises_what_its_clients_raised():
    def refused():
        raise RuntimeError("POST /api/medics/referral: 500")

    with PacedLoad(lambda n: refused, clients=2, per_second=100) as load:
        time.sleep(0.1)
    with pytest.raises(RuntimeError, match="500"):
        load.result()


def test_statements_are_counted_without_transaction_control(ama):
    body = {"phone_number": ama.phone_number, "password": PASSWORD}
    counted = count_statements("POST", reverse("auth:login"), body=body)
    assert 0 < counted <= 6
    assert ama.sessions.count() == 1


def test_the_memory_of_a_process_that_is_gone_is_unknown():
    assert private_mib(2**22 + 1) is None
