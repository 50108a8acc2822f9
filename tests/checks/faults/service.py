"""Redis is gone, a worker is killed, the clock is wrong."""

import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import jwt
import psycopg2
import redis

from tests.support.ports import free_port
from tests.support.redis_server import redis_command

from .database import FACILITIES, LIST, REFERRAL
from .stage import Answer, Outcome, Service, Stage, expect, until

HOUR = timedelta(hours=1).total_seconds()
GUESSES = 12


@dataclass
class Redis:
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = redis_command(self.folder, "--bind", "127.0.0.1", "--port", self.port)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers, "Redis comes up")

    def answers(self) -> bool:
        with suppress(redis.RedisError), closing(redis.Redis.from_url(self.url)) as client:
            return bool(client.ping())
        return False

    def send(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def redis_server() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="tetradx-redis-") as folder:
        server = Redis(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.end()


def redis_killed(here: Stage) -> Outcome:
    with redis_server() as server, here.service(REDIS_URL=server.url) as service:
        clients = known_clients(here, service)
        server.end()
        slowest = expect_served_without_redis(service, *clients)
        server.start()
        seconds = until(service.serves, "it serves with Redis again")
        expect_guesses_counted(service, clients[0], "203.0.113.2")
    return Outcome(
        f"lists and logins 200, slowest {slowest:.2f} s; guesses 429 from the 6th on",
        f"{seconds:.1f} s",
    )


def redis_frozen(here: Stage) -> Outcome:
    with redis_server() as server, here.service(REDIS_URL=server.url) as service:
        clients = known_clients(here, service)
        server.send(signal.SIGSTOP)
        try:
            slowest = expect_served_without_redis(service, *clients)
        finally:
            server.send(signal.SIGCONT)
        seconds = until(service.serves, "it serves with Redis again")
    return Outcome(
        f"lists and logins 200, slowest {slowest:.2f} s; guesses 429 from the 6th on",
        f"{seconds:.1f} s",
    )


def known_clients(here: Stage, service: Service) -> tuple[str, str, str]:
    """A number to be guessed at, and another one with a token."""
    guessed_at, _ = here.new_practitioner(service)
    number, token = here.new_practitioner(service)
    expect(service.serves(), "it serves with Redis")
    return guessed_at, number, token


def expect_served_without_redis(
    service: Service, guessed_at: str, number: str, token: str
) -> float:
    """Seconds that the slowest answer took."""
    answers = []
    for _ in range(3):
        answers += [
            service.ask("GET", FACILITIES),
            service.ask("GET", LIST, token=token),
            service.log_in(number, from_address="198.51.100.7"),
        ]
    for answer in answers:
        expect(answer.status == 200, f"200 without Redis, not {answer.status} {answer.body}")
    answers += expect_guesses_counted(service, guessed_at, "203.0.113.1")
    # Whoever guesses locks nobody out who comes from elsewhere.
    answers.append(service.log_in(guessed_at, from_address="198.51.100.8"))
    expect(answers[-1].status == 200, "the number's owner logs in from elsewhere")
    slowest = max(answer.seconds for answer in answers)
    expect(slowest < 5, f"each answer comes within 5 s, not {slowest:.1f} s")
    return slowest


def expect_guesses_counted(service: Service, number: str, from_address: str) -> list[Answer]:
    answers = [
        service.log_in(number, f"Wrong-{guess}", from_address=from_address)
        for guess in range(GUESSES)
    ]
    expect([answer.status for answer in answers[:5]] == [400] * 5, "five guesses are free")
    refused = [answer for answer in answers[5:] if answer.status == 429]
    expect(len(refused) >= GUESSES - 7, "further guesses wait")
    expect(all(answer.is_error(429) for answer in refused), "429 in the envelope")
    return answers


def worker_killed_mid_request(here: Stage) -> Outcome:
    with here.service(GUNICORN_WORKERS="1") as service, ThreadPoolExecutor(1) as pool:
        _, token = here.new_practitioner(service)
        body, key = here.referral("Held up"), secrets.token_hex(8)

        def refer() -> Answer:
            return service.ask("POST", REFERRAL, body, token=token, key=key)

        with closing(psycopg2.connect(here.server.url)) as holder, holder.cursor() as cursor:
            cursor.execute("LOCK TABLE medics_referral IN ACCESS EXCLUSIVE MODE")
            cut_off = pool.submit(refer)
            until(lambda: waits_for_a_lock(here), "the request waits for the lock")
            killed = time.monotonic()
            os.kill(service.workers()[-1], signal.SIGKILL)
            expect(cut_off.result().status is None, "its connection breaks")
            until(service.serves, "another worker serves")
            seconds = time.monotonic() - killed
        again = refer()
        expect(again.status == 201, f"the same request again is 201, not {again.status}")
        total = service.ask("GET", LIST, token=token).data["data_summary"]["total_referrals"]
        expect(total == 1, f"there is one referral, not {total}")
        here.expect_whole()
    return Outcome(
        "its own requests: a broken connection; all others 200; sent again 201",
        f"{seconds:.1f} s until another worker serves",
    )


def waits_for_a_lock(here: Stage) -> bool:
    [(waiting,)] = here.server.query("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return bool(waiting)


def clock_moved(here: Stage) -> Outcome:
    """Tokens as a service whose clock is an hour ahead, or behind, would have signed them."""
    with here.service() as service:
        login = service.log_in(here.new_practitioner(service)[0]).data
        access, refresh = login["access_token"], login["refresh_token"]

        def listed(token: str) -> Answer:
            return service.ask("GET", LIST, token=token)

        def renewed(token: str) -> list[Answer]:
            return [
                service.ask("POST", "/api/refresh", {"refresh_token": token}),
                service.ask("POST", "/api/auth/token/refresh", {"refresh": token}),
            ]

        for seconds in (-HOUR, HOUR):
            expect(listed(shifted(here, access, seconds)).is_error(401), "401 for such a token")
        # An hour more than a refresh token lives, which is beyond the leeway for clocks.
        for seconds in (-13 * HOUR, HOUR):
            answers = renewed(shifted(here, refresh, seconds))
            expect(answers[0].is_error(400), "400 at the client's refresh")
            expect(answers[1].is_error(401), "401 for such a refresh token")
        expect(listed(access).status == 200, "the session is still good")
        expect([answer.status for answer in renewed(refresh)] == [200, 200], "it is renewed")
    return Outcome(
        "expired and not yet valid tokens: 401, and 400 at /api/refresh; the session goes on",
        "at once with the right clock",
    )


def shifted(here: Stage, token: str, seconds: float) -> str:
    key = here.secrets["JWT_SIGNING_KEY"]
    claims = jwt.decode(token, key, algorithms=["HS256"])
    for name in ("iat", "exp"):
        claims[name] += int(seconds)
    return jwt.encode(claims, key, algorithm="HS256")
