"""schemathesis over the service's own schema, as every role: some 25,000 requests that gunicorn
answers on a throwaway database.

    make fuzz [ARGS="--seed 7 --examples 150 --role technician --role staff"]

It takes about five minutes, and gives up on a role after twenty. A run with the same seed asks the
same; a failure is shown with the curl line that makes it. Last it prints how many requests passed
and failed, and fails where one did.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import django
from django.core.management import call_command

from tests.support.service import serving
from tests.support.throwaway_postgres import throwaway_server

SETTINGS = Path(__file__).with_name("fuzz.toml")
TOKEN = '[auth.openapi.accessToken]\nbearer = "{}"\n'
# Walks along the links, of which each makes up to eight requests.
WALKS = "[phases.stateful.generation]\nmax-examples = {}\n"
EXAMPLES = 150
LONGEST_SECONDS_OF_ROLE = 20 * 60
# In this order: the administrator closes branches, which no referral can then name.
ROLES = ["anonymous", "newcomer", "practitioner", "staff", "technician", "administrator"]
# Of the cast's rows; those that the service adds begin with 1.
FIRST_ID = 1_000_000_001
# Longer than the whole takes.
TOKEN_MINUTES = "600"


@dataclass
class Result:
    requests: int
    failed: int


def make_cast() -> dict[str, str]:
    """An access token for each role but the first; the ids of all rows stand in fuzz.toml."""
    from authentication.services import open_session
    from tests import factories as make

    efua = make.TechnicianFactory(full_name="Efua Asante")
    korle = make.FacilityFactory(id=FIRST_ID, name="Korle Laboratory", admin=efua)
    ridge = make.FacilityFactory(id=FIRST_ID + 1, admin=make.TechnicianFactory())
    branches = [
        make.FacilityBranchFactory(id=FIRST_ID + number, facility=facility)
        for number, facility in enumerate([korle, korle, korle, ridge])
    ]
    tests = [
        make.TestFactory(
            id=FIRST_ID + number,
            test_type=make.TestTypeFactory(id=FIRST_ID + number, facility=facility),
        )
        for number, facility in enumerate([korle, korle, ridge])
    ]
    ama = make.PractitionerFactory(full_name="Ama Serwaa")
    users = {
        "practitioner": ama,
        "technician": make.TechnicianFactory(branches=branches[:2]),
        "administrator": efua,
        "staff": make.PractitionerFactory(is_staff=True),
        # With a password that fuzz.toml does not have, or the role would end by a change of it.
        "newcomer": make.TechnicianFactory(
            password="Given-Pass-1",
            must_change_password=True,
            branches=branches[:1],
        ),
    }
    # They log in, and nobody changes their passwords.
    make.PractitionerFactory(phone_number="0244000011")
    make.TechnicianFactory(phone_number="0244000012", branches=branches[:1])
    make.FacilityFactory(admin=make.TechnicianFactory(phone_number="0244000013"))
    for number, branch in enumerate(branches[:3]):
        referral = make.ReferralFactory(
            id=f"FUZZ00000{number}",
            referred_by=ama,
            facility_branch=branch,
            patient=make.PatientFactory(full_name_or_id="Akosua Mensah"),
            tests=[],
        )
        referral.tests.create(id=FIRST_ID + number, test=tests[0])
    return {role: str(open_session(user=user).access_token) for role, user in users.items()}


def fuzz(
    url: str, token: str | None, *, seed: int, examples: int, phases: Sequence[str] = ()
) -> Result:
    """schemathesis prints what it does, and each failure with a curl line."""
    with tempfile.TemporaryDirectory() as folder:
        report, chosen = Path(folder) / "report.json", Path(folder) / "fuzz.toml"
        chosen.write_text(
            SETTINGS.read_text()
            + WALKS.format(2 * examples)
            + (TOKEN.format(token) if token else "")
        )
        command = [
            *[sys.executable, "-m", "schemathesis.cli", f"--config-file={chosen}", "run"],
            f"{url}/api/schema/",
            *["--no-color", f"--seed={seed}", f"--max-examples={examples}"],
            f"--report-json-path={report}",
            *([f"--phases={','.join(phases)}"] if phases else []),
        ]
        done = subprocess.run(command, timeout=LONGEST_SECONDS_OF_ROLE, check=False)
        if not report.exists():
            raise SystemExit("schemathesis did not come to its end.")
        found = json.loads(report.read_text())
    cases = found["test_cases"]
    failed = cases["with_failures"] + cases["errored"]
    # Something else may be wrong, too.
    return Result(cases["generated"], max(failed, int(done.returncode != 0)))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each operation")
    parser.add_argument("--role", action="append", choices=ROLES, help="all where none is named")
    chosen = parser.parse_args(arguments)
    os.environ["ACCESS_TOKEN_MINUTES"] = TOKEN_MINUTES
    with throwaway_server(fsync="off") as server, tempfile.TemporaryFile() as log:
        os.environ["DATABASE_URL"] = server.url
        django.setup()
        call_command("migrate", verbosity=0)
        tokens = make_cast()
        results = {}
        with serving(log, GUNICORN_MAX_REQUESTS="0", LOG_LEVEL="ERROR") as (host, port):
            for role in chosen.role or ROLES:
                print(f"\nAs {role}, with seed {chosen.seed}:", flush=True)
                results[role] = fuzz(
                    f"http://{host}:{port}",
                    tokens.get(role),
                    seed=chosen.seed,
                    examples=chosen.examples,
                )
    print(f"\nSeed {chosen.seed}")
    for role, result in results.items():
        print(f"  {role:15} {result.requests:6} requests, {result.failed} failed")
    failed = sum(result.failed for result in results.values())
    passed = max(0, sum(result.requests for result in results.values()) - failed)
    print(f"{passed} passed, {failed} failed")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    main(sys.argv[1:])
