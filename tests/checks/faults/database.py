"""The database is killed, stopped, frozen, full, crowded or locked."""

import io
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from pathlib import Path

import psycopg2

from tests.checks import outage
from tests.support.throwaway_postgres import Server

from .stage import BrokenPromiseError, CannotTryError, Outcome, Stage, expect, stage, until
from .writing import (
    Writer,
    expect_kept,
    expect_written_or_refused,
    statuses,
    told,
    writers_at_work,
)

WRITERS = 6
DISK_MB = 160
FACILITIES, REFERRAL = "/api/medics/facilities", "/api/medics/referral"
LIST = "/api/medics/referrals/practitioner"


def kill(server: Server) -> None:
    """All of its processes, as where the machine's memory ran out or its power failed."""

    def are_gone() -> bool:
        server.signal(signal.SIGKILL)
        return not server.processes()

    until(are_gone, "the killed database is gone")


def killed_while_clients_write(here: Stage, *, times: int = 3, each: int = 60) -> Outcome:
    with here.service() as service:
        slowest = 0.0
        with writers_at_work(here, service, WRITERS) as writers:

            def made() -> int:
                return sum(len(writer.made) for writer in writers)

            def failed() -> int:
                return sum(len(writer.answers) for writer in writers) - made()

            for _ in range(times):
                before = made()
                until(lambda before=before: made() >= before + each, "clients go on writing")
                refused = failed()
                kill(here.server)
                until(
                    lambda refused=refused: failed() >= refused + 2 * WRITERS,
                    "clients are answered while there is no database",
                )
                here.server.start()
                back, before = time.monotonic(), made()
                until(lambda before=before: made() >= before + WRITERS, "clients write again")
                slowest = max(slowest, time.monotonic() - back)
        answers = expect_written_or_refused(writers)
        kept = expect_kept(here, writers)
    return Outcome(
        told(answers),
        f"{slowest:.1f} s until each client had written again, at the latest of {times} times",
        f"nothing: {kept} of {kept} referrals with their tests",
    )


@contextmanager
def outage_clients(here: Stage, **variables: str) -> Iterator[outage.Clients]:
    with here.service(**variables) as service:
        account = {"full_name": "Ama Serwaa", "phone_number": outage.PHONE_NUMBER}
        service.ask("POST", "/api/auth/register", {**account, "password": outage.PASSWORD})
        token = service.token_of(outage.PHONE_NUMBER, outage.PASSWORD)
        try:
            with redirect_stdout(io.StringIO()):
                yield outage.Clients(service.address, token)
        except SystemExit as failure:
            raise BrokenPromiseError(str(failure)) from None


def answers_of(clients: outage.Clients) -> str:
    slowest = max(answer.seconds for answer in clients.answers)
    return f"{told(clients.answers)}; slowest {slowest:.2f} s"


def stopped(here: Stage, *, seconds: float = 5) -> Outcome:
    with outage_clients(here) as clients:
        outage.check_stopped(here.server, clients, seconds, within=15, out_of_reach=False)
    return Outcome(answers_of(clients), "at once: the first request of each thread is 200")


def out_of_reach(here: Stage, *, seconds: float = 5) -> Outcome:
    with outage_clients(here) as clients:
        outage.check_stopped(here.server, clients, seconds, within=15, out_of_reach=True)
    return Outcome(answers_of(clients), "a second after it is back, at the latest")


def frozen(here: Stage, *, seconds: float = 5) -> Outcome:
    with outage_clients(here) as clients:
        outage.check_frozen(here.server, clients, seconds)
    return Outcome(answers_of(clients), "at once when it thaws")


@contextmanager
def all_connections_taken(server: Server) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            while True:
                stack.enter_context(closing(psycopg2.connect(server.url)))
        except psycopg2.OperationalError as refusal:
            expect("too many clients" in str(refusal), f"the database is full, not: {refusal}")
        yield


def connections_exhausted(here: Stage) -> Outcome:
    with here.service() as service:
        with all_connections_taken(here.server):
            answers = [service.ask("GET", FACILITIES) for _ in range(20)]
            expect(all(answer.is_error(503) for answer in answers), "503 in the envelope")
            expect(service.ask("GET", "/healthz").status == 200, "the process is alive")
        seconds = until(service.serves, "it serves again")
    slowest = max(answer.seconds for answer in answers)
    return Outcome(f"20 x 503; slowest {slowest:.2f} s", f"{seconds:.1f} s")


def lock_held_by_someone_else(here: Stage) -> Outcome:
    with here.service(DB_LOCK_TIMEOUT_MS="1000") as service:
        _, token = here.new_practitioner(service)

        def refer(patient: str):
            return service.ask("POST", REFERRAL, here.referral(patient), token=token)

        expect(refer("Before").status == 201, "a referral is made")
        with closing(psycopg2.connect(here.server.url)) as holder, holder.cursor() as cursor:
            cursor.execute("LOCK TABLE medics_referral IN ACCESS EXCLUSIVE MODE")
            refused = [refer("Meanwhile"), service.ask("GET", LIST, token=token)]
            for answer in refused:
                expect(answer.is_error(503), f"503 in the envelope, not {answer.status}")
                expect(answer.seconds < 3, "the wait for a lock ends in time")
            expect(service.serves(), "what needs no lock goes on")
        seconds = until(lambda: refer("Meanwhile").status == 201, "it is written after")
        total = service.ask("GET", LIST, token=token).data["data_summary"]["total_referrals"]
        expect(total == 2, f"two referrals are there, not {total}")
        here.expect_whole()
    return Outcome(
        f"503 after {max(answer.seconds for answer in refused):.1f} s"
        " (DB_LOCK_TIMEOUT_MS, here 1 s); public lists 200",
        f"{seconds:.1f} s after the lock is gone",
    )


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tetradx-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise CannotTryError("a small disk needs the right to mount a tmpfs") from None
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


def disk_full(_: Stage) -> Outcome:
    with small_disk(DISK_MB) as disk, stage(within=disk) as here, here.service() as service:
        with writers_at_work(here, service, WRITERS) as writers:
            until(lambda: all(writer.made for writer in writers), "clients write")
            with full(disk):
                until(
                    lambda: sum(answer.status != 201 for answer in writers[0].answers) > 3,
                    "writes are refused",
                    seconds=60,
                )
                reads = [service.ask("GET", LIST, token=writers[0].token) for _ in range(10)]
            expect(statuses(reads) == {200: 10}, f"reads go on, not {dict(statuses(reads))}")
            seconds = until_all_write_again(writers)
        return full_outcome(here, writers, "reads 10 x 200", f"{seconds:.1f} s after there is room")


def disk_full_to_the_last_byte(_: Stage) -> Outcome:
    """Not even a change can be logged: PostgreSQL ends itself, to keep what it has."""
    with small_disk(DISK_MB) as disk, stage(within=disk) as here, here.service() as service:
        with writers_at_work(here, service, WRITERS) as writers:
            until(lambda: all(writer.made for writer in writers), "clients write")
            with full(disk):
                until(lambda: ended_itself(here.server), "the database ends itself", seconds=60)
                reads = [service.ask("GET", LIST, token=writers[0].token) for _ in range(10)]
            for answer in reads:
                expect(answer.status == 200 or answer.is_error(503), "reads are 200 or 503")
            until(lambda: not here.server.processes(), "all its processes are gone")
            start = time.monotonic()
            here.server.start()
            restarted = time.monotonic() - start
            seconds = until_all_write_again(writers)
        return full_outcome(
            here,
            writers,
            f"reads {told(reads)}",
            f"{seconds:.1f} s after it is started again, which took {restarted:.1f} s",
        )


def ended_itself(server: Server) -> bool:
    """Uses up what is left of its log of changes."""
    try:
        server.query("SELECT pg_switch_wal()")
        server.query("CREATE TABLE IF NOT EXISTS filler (number int); DROP TABLE filler")
    except psycopg2.Error:
        return not server.processes()
    return False


def until_all_write_again(writers: list[Writer]) -> float:
    before = [len(writer.made) for writer in writers]
    return until(
        lambda: all(
            len(writer.made) > number for writer, number in zip(writers, before, strict=True)
        ),
        "all clients write again",
    )


def full_outcome(here: Stage, writers: list[Writer], reads: str, well_again: str) -> Outcome:
    answers = expect_written_or_refused(writers)
    kept = expect_kept(here, writers)
    return Outcome(
        f"writes {told(answers)}; {reads}", well_again, f"nothing: {kept} of {kept} referrals"
    )
