"""A rehearsal of the change-over: --check, the import and --verify, with the time each one took.

    make takeover-check [ARGS="--referrals 300000"]

A predecessor's database of that size, with odd rows in it, is made on a throwaway server and taken
over on the same one.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg2

from tests.support.predecessor import HASH, make_database
from tests.support.throwaway_postgres import BASE_DIR, Server, throwaway_server

FACILITIES, PRACTITIONERS = 20, 500
TESTS_OF_A_REFERRAL = 3
DECISIONS = ("--administrator-of-two=oldest", "--technician-of-two=latest")

# Ids run from 1, so that each row can compute what it points at. Every so-manieth is an odd one.
ROWS = """
SET session_replication_role = replica;  -- what follows keeps the foreign keys by itself

INSERT INTO "User"
SELECT md5('user' || n)::uuid, %(hash)s, now() - n * interval '1 hour', false, 'user' || n, '', '',
    '', false, true, '2024-01-01', 'Person ' || n,
    CASE WHEN n %% 97 = 0 THEN NULL WHEN n %% 101 = 0 THEN 'hello' || n
        WHEN n %% 103 = 0 THEN '+23324' || lpad((n - 1)::text, 7, '0')
        ELSE '024' || lpad(n::text, 7, '0') END,
    CASE WHEN n <= %(staff)s THEN 'Lab Technician' WHEN n %% 5 = 0 THEN 'MEDICAL_PRACTITIONER'
        ELSE 'Medical Practitioner' END,
    '2024-01-01', '2024-01-01'
FROM generate_series(1, %(staff)s + %(practitioners)s) n;

-- Three branches, two technicians at each, fifteen types of ten tests for each facility.
INSERT INTO "Facility"
SELECT n, 'Laboratory ' || n, NULL, '2024-01-01', md5('user' || least(n, %(facilities)s - 1))::uuid
FROM generate_series(1, %(facilities)s) n;
INSERT INTO "Facility_Branch"
SELECT n, CASE n WHEN 2 THEN 'branch 1' ELSE 'Branch ' || n END, '2024-01-01', (n + 2) / 3, true
FROM generate_series(1, 3 * %(facilities)s) n;
INSERT INTO "Branch_Technician"
SELECT n, false, '2024-01-01', md5('user' || (%(facilities)s + n))::uuid, (n + 1) / 2
FROM generate_series(1, 6 * %(facilities)s) n;
INSERT INTO "Branch_Technician" VALUES
    (100001, false, '2024-02-01', md5('user' || (%(facilities)s + 1))::uuid, 5),
    (100002, false, '2024-02-01', NULL, 1);
INSERT INTO "TestType"
SELECT n, 'TYPE ' || n %% 15, NULL, '2024-01-01', (n + 14) / 15
FROM generate_series(1, 15 * %(facilities)s) n;
INSERT INTO "Test"
SELECT n, CASE WHEN n %% 400 = 0 THEN NULL ELSE 'TEST ' || n %% 10 END, NULL, '2024-01-01',
    (n + 9) / 10, n %% 90
FROM generate_series(1, 150 * %(facilities)s) n;

INSERT INTO "Patient"
SELECT n, CASE WHEN n %% 5 > 0 THEN '020' || lpad(n::text, 7, '0') END, '2024-01-01',
    (ARRAY['Akosua', 'Kwame', 'Abena', 'Yaw', 'Efua', 'Kojo', 'Ama', 'Kofi'])[n %% 8 + 1] || ' '
    || (ARRAY['Mensah', 'Boateng', 'Asante', 'Owusu', 'Darko', 'Serwaa'])[n / 8 %% 6 + 1]
    || ' ' || n
FROM generate_series(1, %(patients)s) n;

INSERT INTO "Referral"
SELECT 'R' || lpad(n::text, 9, '0'), CASE WHEN n %% 3 = 0 THEN 'Fever for days: ' || n END,
    (ARRAY['Pending', 'Received', 'Completed', 'Completed'])[n %% 4 + 1],
    '2024-06-01'::timestamptz + n * interval '1 minute', n %% %(patients)s + 1,
    CASE WHEN n %% 991 > 0 THEN md5('user' || (%(staff)s + n %% %(practitioners)s + 1))::uuid END,
    CASE WHEN n %% 4 > 1 AND n %% 499 > 0
        THEN '2024-06-01'::timestamptz + n * interval '1 minute' + interval '5 hours' END,
    '2024-06-01'::timestamptz + n * interval '1 minute' + interval '5 hours',
    CASE WHEN n %% 997 > 0 THEN n %% (3 * %(facilities)s) + 1 END
FROM generate_series(1, %(referrals)s) n;

-- Of the facility of the branch, but for one in a thousand.
INSERT INTO "ReferralTest"
SELECT (n - 1) * %(tests)s + k, 'R' || lpad(n::text, 9, '0'),
    ((CASE WHEN n %% 1009 = 0 THEN n ELSE n %% (3 * %(facilities)s) / 3 * 150 + n / 60 %% 150 END)
        + k * 50) %% 150 + CASE WHEN n %% 1009 = 0 THEN 0
        ELSE n %% (3 * %(facilities)s) / 3 * 150 END + 1,
    '2024-06-01'::timestamptz + n * interval '1 minute',
    CASE WHEN n %% 4 > 1 AND n %% 701 > 0 THEN 'Completed' ELSE 'Pending' END,
    CASE WHEN n %% 4 > 1 AND n %% 701 > 0
        THEN '2024-06-01'::timestamptz + n * interval '1 minute' + interval '4 hours' END,
    '2024-06-01'::timestamptz + n * interval '1 minute' + interval '4 hours'
FROM generate_series(1, %(referrals)s) n, generate_series(1, %(tests)s) k;
"""


def fill(url: str, referrals: int) -> None:
    with closing(psycopg2.connect(url)) as connection, connection:
        connection.cursor().execute(
            ROWS,
            {
                "hash": HASH,
                "facilities": FACILITIES,
                "staff": 7 * FACILITIES,
                "practitioners": PRACTITIONERS,
                "patients": max(referrals * 2 // 5, 1),
                "referrals": referrals,
                "tests": TESTS_OF_A_REFERRAL,
            },
        )


def timed(server: Server, predecessor: str, what: str, *arguments: str) -> None:
    """Runs import_predecessor and prints how long it took. Raises SystemExit where it fails."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "manage.py", "import_predecessor", *arguments],
        cwd=BASE_DIR,
        env={
            **os.environ,
            "ENVIRONMENT": "test",
            "DATABASE_URL": server.url,
            "PREDECESSOR_DATABASE_URL": predecessor,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout)
    print(f"{what}: {time.monotonic() - start:.1f} s\n", flush=True)
    if done.returncode:
        raise SystemExit(f"{what} failed.")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make takeover-check")
    parser.add_argument("--referrals", type=int, default=300_000, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    with throwaway_server() as server, tempfile.TemporaryDirectory() as folder:
        predecessor = make_database(server.url, "predecessor")
        fill(predecessor, options.referrals)
        server.manage("migrate", "--verbosity=0")
        report = f"--report={Path(folder) / 'report.csv'}"
        timed(server, predecessor, "check", "--check", *DECISIONS)
        timed(server, predecessor, "import", report, *DECISIONS)
        timed(server, predecessor, "verify", "--verify", report)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"The largest process of these took {memory} MB.")


if __name__ == "__main__":
    main()
