"""Practitioners who refer one patient after the other, and give none up."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from .stage import Answer, Service, Stage, expect

PAUSE_SECONDS = 0.1
# Far more than any of the faults takes.
PATIENCE_SECONDS = 90


class HasStatus(Protocol):
    @property
    def status(self) -> int | None: ...


@dataclass
class Writer:
    """Sends each referral, with a key of its own, until it is told 201, or time is up."""

    stage: Stage
    service: Service
    token: str
    answers: list[Answer] = field(default_factory=list)
    # What the 201 to each key said.
    made: dict[str, dict] = field(default_factory=dict)

    def post(self, key: str) -> Answer:
        referral = self.stage.referral(f"Patient {key}")
        return self.service.ask("POST", "/api/medics/referral", referral, token=self.token, key=key)

    def write(self, ended: threading.Event) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            give_up = time.monotonic() + PATIENCE_SECONDS
            while not self.has_written(f"{number:05}"):
                time.sleep(PAUSE_SECONDS)
                if time.monotonic() > give_up:
                    return

    def has_written(self, key: str) -> bool:
        answer = self.post(key)
        self.answers.append(answer)
        if answer.status == 201:
            self.made[key] = answer.data
        return answer.status == 201


@contextmanager
def writers_at_work(stage: Stage, service: Service, number: int) -> Iterator[list[Writer]]:
    """Each still completes the referral in hand when the block ends."""
    writers = [Writer(stage, service, stage.new_practitioner(service)[1]) for _ in range(number)]
    ended = threading.Event()
    threads = [threading.Thread(target=writer.write, args=[ended]) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def statuses(answers: Sequence[HasStatus]) -> Counter:
    return Counter(answer.status for answer in answers)


def told(answers: Sequence[HasStatus]) -> str:
    """Such as "20 x 200, 3 x 503"."""
    counted = sorted((status or 0, number) for status, number in statuses(answers).items())
    return ", ".join(f"{number} x {status or 'no answer'}" for status, number in counted)


def expect_written_or_refused(writers: list[Writer]) -> list[Answer]:
    """All that they were answered."""
    answers = [answer for writer in writers for answer in writer.answers]
    for answer in answers:
        expect(
            answer.status == 201 or answer.is_error(503),
            f"a write is 201, or 503 in the envelope, not {answer.status} {answer.body}",
        )
    return answers


def expect_kept(stage: Stage, writers: list[Writer]) -> int:
    """How many referrals were told of: each is there once, with its tests, and nothing else is."""
    stage.expect_whole()
    kept = {
        (referral, status, tuple(tests))
        for referral, status, tests in stage.server.query(
            "SELECT id, status, ARRAY(SELECT id FROM medics_referraltest"
            " WHERE referral_id = referral.id ORDER BY id) FROM medics_referral AS referral"
        )
    }
    made = 0
    for writer in writers:
        for said in writer.made.values():
            tests = tuple(sorted(int(test["test_id"]) for test in said["tests"]))
            expect(
                (said["referral_id"], said["status"], tests) in kept,
                f"{said['referral_id']}, for which a client got a 201, is there with its tests",
            )
        made += len(writer.made)
        listed = writer.service.ask("GET", "/api/medics/referrals/practitioner", token=writer.token)
        total = listed.data["data_summary"]["total_referrals"]
        expect(
            total == len(writer.made),
            f"{len(writer.made)} referrals were made for as many keys, not {total}",
        )
        for key, said in list(writer.made.items())[-5:]:
            again = writer.post(key)
            expect(
                again.status == 201 and again.data == said,
                "the same key gets the same answer again",
            )
    return made
