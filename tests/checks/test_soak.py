from collections import Counter

import pytest

from tests.checks.soak import MIB, Person, Samples, verdict


def worked(*errors, answers=None):
    return Person(("127.0.0.1", 1), None, None, answers=Counter(answers or {200: 9}), errors=errors)


def sampled(*, connections=(3, 8, 7), last=60, workers=2):
    """Ten minutes, of workers that have 60 MiB until the last minute."""
    samples = Samples(connections=list(connections))
    for worker in range(workers):
        for second in range(0, 600, 5):
            mib = last if second >= 540 else 60
            samples.memory[worker].append((second, mib * MIB))
    return samples


def failures(people, samples, *, replaced=False):
    return [figures for holds, figures in verdict(people, samples, replaced=replaced) if not holds]


def test_all_well():
    assert failures([worked(), worked(answers={201: 3})], sampled(last=62)) == []


def test_one_error_fails_it_and_is_shown():
    [figures] = failures([worked(), worked("GET /api: 500 Oops.")], sampled())

    assert figures == "1 errors of 18 requests (18 x 200); the first: GET /api: 500 Oops."


def test_one_connection_too_many_fails_it():
    assert failures([worked()], sampled(connections=(3, 9, 3))) == [
        "9 connections at most; workers x threads are 8"
    ]


@pytest.mark.parametrize("last", [56, 64])
def test_memory_that_is_not_flat_fails_it(last):
    assert len(failures([worked()], sampled(last=last))) == 2


def test_a_worker_that_was_replaced_though_none_should_be_fails_it():
    assert failures([worked()], sampled(workers=3)) == ["3 workers, none replaced"]


def test_where_workers_are_replaced_some_must_be():
    assert failures([worked()], sampled(workers=9, last=90), replaced=True) == []
    assert failures([worked()], sampled(), replaced=True) != []
