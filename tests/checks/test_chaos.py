from contextlib import closing, nullcontext
from functools import partial

import psycopg2
import pytest

from tests.checks import chaos
from tests.checks.faults import database, service
from tests.checks.faults.stage import (
    Answer,
    BrokenPromiseError,
    CannotTryError,
    Outcome,
    expect,
    stage,
)


def held(_):
    return Outcome("503", "1 s")


def broken(_):
    expect(False, "nothing is lost")


def cannot_try(_):
    raise CannotTryError("there is no nginx here")


def test_each_fault_is_told_of_and_what_cannot_be_tried_counts_as_neither(capsys):
    faults = {"one": held, "two": broken, "three": cannot_try, "four": held}

    assert chaos.run(faults, None) == (2, 1)
    assert [line[:15] for line in capsys.readouterr().out.splitlines()] == [
        "passed   one: g",
        "FAILED   two: i",
        "not run  three:",
        "passed   four: ",
    ]


@pytest.mark.parametrize(("fault", "fails"), [(held, False), (broken, True), (cannot_try, False)])
def test_the_count_comes_last_and_a_broken_promise_fails(monkeypatch, capsys, fault, fails):
    monkeypatch.setattr(chaos, "FAULTS", {"the fault": fault})
    monkeypatch.setattr(chaos, "stage", lambda **_: nullcontext())

    with pytest.raises(SystemExit, match="1") if fails else nullcontext():
        chaos.main([])

    passed = int(fault is held)
    assert capsys.readouterr().out.splitlines()[-1] == f"{passed} passed, {int(fails)} failed"


def test_a_fault_that_is_none_is_not_taken_for_a_success():
    with pytest.raises(SystemExit, match="No fault's name has 'flood'"):
        chaos.main(["--only", "flood"])


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "is_one"),
    [
        (503, {"status": "error", "code": "503", "detail": "Later."}, "5", True),
        (503, {"status": "error", "code": "503", "detail": "Later."}, None, False),
        (503, {"status": "error", "code": "500", "detail": "Later."}, "5", False),
        (503, {"detail": "Later."}, "5", False),
        (500, {"status": "error", "code": "500", "detail": "Oops."}, "5", False),
        (None, {}, None, False),
    ],
)
def test_what_counts_as_a_503_in_the_envelope(status, body, retry_after, is_one):
    headers = {"Retry-After": retry_after}

    assert Answer(status, body, 0.1, headers).is_error(503) is is_one


def test_faults_in_small_and_a_loss_would_be_seen(capsys):
    with stage(max_connections="40") as here:
        assert chaos.run(
            {
                "killed": partial(database.killed_while_clients_write, times=1, each=6),
                "worker": service.worker_killed_mid_request,
            },
            here,
        ) == (2, 0), capsys.readouterr().out
        here.expect_whole()
        for loss, promise in [
            ("UPDATE medics_referralcount SET number = number + 1", "the totals are those"),
            ("DELETE FROM medics_referraltest", "each referral has all its tests"),
            ("DELETE FROM medics_referral", "a kept answer has its referral"),
        ]:
            with closing(psycopg2.connect(here.server.url)) as connection, connection:
                # Past triggers and foreign keys, which would refuse it.
                connection.cursor().execute(f"SET session_replication_role = replica; {loss}")
            with pytest.raises(BrokenPromiseError, match=promise):
                here.expect_whole()
