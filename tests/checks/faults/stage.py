"""A small network on a throwaway database, and a service for each fault."""

import http.client
import json
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.service import serving
from tests.support.throwaway_postgres import Server, throwaway_server

Address = tuple[str, int]

PASSWORD, CHOSEN_PASSWORD = "Passw0rd!x", "Chosen-Pass-1"
EFUA, KOFI = "0244000011", "0244000012"


class BrokenPromiseError(Exception):
    """What the service promises did not hold."""


class CannotTryError(Exception):
    """This machine cannot make the fault."""


@dataclass
class Outcome:
    """What a fault showed, in the words of the table in docs/reliability.md."""

    got: str
    well_again: str
    lost: str = "nothing"


def expect(holds: object, promise: str) -> None:
    if not holds:
        raise BrokenPromiseError(promise)


@dataclass
class Answer:
    # None where the connection broke before there was one.
    status: int | None
    body: dict
    seconds: float
    headers: http.client.HTTPMessage | None = None

    @property
    def data(self) -> dict:
        return self.body["data"]

    def is_error(self, status: int) -> bool:
        """In the envelope, and with Retry-After where a client is to come again."""
        expected = {"status": "error", "code": str(status), "detail": self.body.get("detail")}
        says_when = bool(self.headers and int(self.headers["Retry-After"] or 0))
        return (
            self.status == status
            and self.body == expected
            and bool(self.body["detail"])
            and (says_when or status not in (429, 503))
        )


def ask(
    address: Address,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    key: str | None = None,
    from_address: str | None = None,
    timeout: float = 60,
) -> Answer:
    """One request on a connection of its own."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    if from_address:
        headers["X-Forwarded-For"] = from_address
    payload = None if body is None else json.dumps(body)
    start = time.monotonic()
    with closing(http.client.HTTPConnection(*address, timeout=timeout)) as connection:
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return Answer(None, {}, time.monotonic() - start)
    return Answer(response.status, answer, time.monotonic() - start, response.headers)


def until(holds: Callable[[], object], promise: str, *, seconds: float = 30) -> float:
    """Seconds until it holds. Raises BrokenPromiseError where it does not in time."""
    start = time.monotonic()
    while not holds():
        expect(time.monotonic() - start < seconds, f"{promise}, within {seconds:g} s")
        time.sleep(0.05)
    return time.monotonic() - start


@dataclass
class Service:
    """A running gunicorn with its workers."""

    address: Address
    log: Path

    def ask(self, method: str, path: str, body: object = None, **more) -> Answer:
        return ask(self.address, method, path, body, **more)

    def serves(self) -> bool:
        return self.ask("GET", "/api/medics/facilities").status == 200

    def log_in(self, phone_number: str, password: str = PASSWORD, **more) -> Answer:
        login = {"phone_number": phone_number, "password": password}
        return self.ask("POST", "/api/auth/login", login, **more)

    def token_of(self, phone_number: str, password: str = PASSWORD) -> str:
        answer = self.log_in(phone_number, password)
        expect(answer.status == 200, f"{phone_number} logs in")
        return answer.data["access_token"]

    def workers(self) -> list[int]:
        """Process ids of all that were started, the newest last."""
        return [int(pid) for pid in re.findall(r"Booting worker.*? (\d+)", self.log.read_text())]

    def peak_memory_bytes(self) -> int:
        """The most that each worker that runs ever had, in sum."""
        return sum(memory_bytes(worker, "VmHWM") for worker in self.workers())


def memory_bytes(process: int, name: str) -> int:
    """VmRSS, what it has, or VmHWM, the most that it had (proc(5)); 0 where it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


@dataclass
class Stage:
    server: Server
    folder: Path
    branch: int = 0
    tests: list[int] = field(default_factory=list)
    secrets: dict[str, str] = field(
        default_factory=lambda: {
            "SECRET_KEY": secrets.token_urlsafe(64),
            "JWT_SIGNING_KEY": secrets.token_urlsafe(64),
        }
    )

    @property
    def production(self) -> dict[str, str]:
        """What the service and its commands are told, so that they are as in production."""
        return {
            **self.secrets,
            "ENVIRONMENT": "production",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SERVED_OVER_HTTPS": "false",
            # As in docker-compose.yml.
            "DB_CONNECT_TIMEOUT_S": "1",
        }

    @contextmanager
    def service(self, **variables: str) -> Iterator[Service]:
        log = self.folder / f"log-{secrets.token_hex(4)}"
        variables = {"DATABASE_URL": self.server.url, **self.production, **variables}
        with log.open("wb") as output, serving(output, **variables) as address:
            yield Service(address, log)

    def referral(self, patient: str) -> dict:
        return {
            "patient_full_name_or_id": patient,
            "branch_id": self.branch,
            "tests": self.tests,
        }

    def set_up(self) -> None:
        """A facility with Efua, a branch with Kofi, two tests."""
        self.server.manage("migrate", "--verbosity=0")
        facility = ("Korle Laboratory", "--admin-name=Efua Asante", f"--admin-phone={EFUA}")
        self.server.manage("create_facility", *facility, input=PASSWORD, **self.production)
        with self.service() as service:

            def send(path: str, body: dict, token: str) -> dict:
                answer = service.ask("POST", path, body, token=token)
                expect(answer.status in (200, 201), f"{path} is answered, not {answer.body}")
                return answer.body.get("data", {})

            def choose_password(phone_number: str) -> str:
                token = service.token_of(phone_number)
                body = {"current_password": PASSWORD, "new_password": CHOSEN_PASSWORD}
                body["confirm_new_password"] = CHOSEN_PASSWORD
                send("/api/medics/change-password", body, token)
                return token

            efua = choose_password(EFUA)
            self.branch = int(send("/api/medics/branches/add", {"name": "Legon"}, efua)["id"])
            catalogue = {"name": "Haematology", "tests": [{"name": "FBC"}, {"name": "ESR"}]}
            added = send("/api/utilities/add-test-types", catalogue, efua)
            self.tests = [test["id"] for test in added["tests"]]
            technician = {"full_name": "Kofi Boateng", "phone_number": KOFI}
            technician |= {"branch_id": self.branch, "password": PASSWORD}
            send("/api/medics/lab-technicians/add", technician, efua)
            choose_password(KOFI)

    def new_practitioner(self, service: Service) -> tuple[str, str]:
        """Phone number and access token of one who has just registered."""
        phone_number = f"0{secrets.randbelow(10**8) + 5 * 10**8:09}"
        account = {"full_name": "Ama Serwaa", "phone_number": phone_number, "password": PASSWORD}
        answer = service.ask("POST", "/api/auth/register", account)
        expect(answer.status == 201, f"a practitioner registers, not {answer.body}")
        return phone_number, service.token_of(phone_number)

    def expect_whole(self) -> None:
        """No referral without its tests, no test without its referral, and exact totals."""
        for promise, sql in WHOLE.items():
            found = self.server.query(sql)
            expect(not found, f"{promise}, not {found[:3]}")


WHOLE = {
    "each referral has all its tests": """
        SELECT referral.id FROM medics_referral AS referral
        WHERE test_ids = '{}' OR test_ids <> ARRAY(
            SELECT test_id FROM medics_referraltest
            WHERE referral_id = referral.id ORDER BY test_id
        )""",
    "each test has its referral": """
        SELECT id FROM medics_referraltest AS test
        WHERE NOT EXISTS (SELECT FROM medics_referral WHERE id = test.referral_id)""",
    "a kept answer has its referral": """
        SELECT id FROM medics_referralrequest AS request
        WHERE answer = '' OR NOT EXISTS (
            SELECT FROM medics_referral WHERE id = request.referral_id
        )""",
    "the totals are those of the referrals": """
        (SELECT branch_id, practitioner_id, status, sum(number) FROM medics_referralcount
            GROUP BY 1, 2, 3 HAVING sum(number) <> 0)
        EXCEPT
        (SELECT facility_branch_id, NULL::uuid, status, count(*) FROM medics_referral GROUP BY 1, 3
            UNION ALL
        SELECT NULL, referred_by_id, status, count(*) FROM medics_referral GROUP BY 2, 3)""",
    "no referral is missing in the totals": """
        (SELECT facility_branch_id, NULL::uuid, status, count(*) FROM medics_referral GROUP BY 1, 3
            UNION ALL
        SELECT NULL, referred_by_id, status, count(*) FROM medics_referral GROUP BY 2, 3)
        EXCEPT
        (SELECT branch_id, practitioner_id, status, sum(number) FROM medics_referralcount
            GROUP BY 1, 2, 3)""",
}


@contextmanager
def stage(*, within: Path | None = None, **settings: str) -> Iterator[Stage]:
    """With `settings` of PostgreSQL's; its files may be kept `within` a folder."""
    with (
        throwaway_server(within=within, **settings) as server,
        tempfile.TemporaryDirectory(prefix="tetradx-chaos-") as folder,
    ):
        made = Stage(server, Path(folder))
        made.set_up()
        yield made
