"""Fills an empty database with the benchmark's network and its referrals: each time the same."""

from itertools import islice

from django.core.management.color import no_style
from django.db import IntegrityError, connection, transaction
from tqdm import tqdm

from authentication.models import User
from demo.loading import MODELS, NotEmptyError, copy_rows
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Test,
    TestType,
)

from . import network

BATCH_SIZE = 50_000

ID_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Ten characters of the base-36 number, the last one first, so that neighbours are far apart; the
# factor is a prime and so gives no id twice.
REFERRAL_ID = " || ".join(
    f"substr('{ID_CHARACTERS}', 1 + mod(n::bigint * 2654435761 / {36**place}, 36)::integer, 1)"
    for place in range(10)
)

# Every chance is drawn into a column of its own first: beside a window function, PostgreSQL takes
# one random() for all of them.
DRAW = """
CREATE TEMPORARY TABLE chance ON COMMIT DROP AS
SELECT n, random() AS practitioner, random() AS branch, random() AS patient, random() AS status,
    random() AS hours, random() AS minutes,
    random() AS test_1, random() AS test_2, random() AS test_3,
    random() AS status_1, random() AS status_2, random() AS status_3
FROM generate_series(1, %(referrals)s) n
"""

# In the order of `referred_at`, as the rows of a real database lie. A practitioner's or branch's
# referrals are picked by rank, so that their number is exact. One of a facility's tests is picked
# out of each third of its catalogue, so that no referral has a test twice.
REFERRALS = f"""
CREATE TEMPORARY TABLE drawn ON COMMIT DROP AS
SELECT n, {REFERRAL_ID} AS id, practitioner_id, branch_id,
    1 + floor(patient * %(patients)s)::integer AS patient_id,
    (ARRAY['Pending', 'Received', 'Completed'])[1 + floor(3 * status)::integer] AS status,
    %(since)s + (n - minutes) / %(referrals)s * (%(until)s - %(since)s) AS referred_at,
    (1 + 71 * hours) * interval '1 hour' AS turnaround,
    (branch_id - 1) / %(branches_per_facility)s * %(tests)s + 1 AS first_test,
    ARRAY[floor(test_1 * %(tests)s / 3), floor((1 + test_2) * %(tests)s / 3),
          floor((2 + test_3) * %(tests)s / 3)]::integer[] AS tests,
    ARRAY[status_1, status_2, status_3] AS test_statuses
FROM (
    SELECT *,
        (%(practitioners)s::uuid[])[1 + CASE
            WHEN practitioner_rank < %(first)s THEN 0
            WHEN practitioner_rank < %(second)s THEN 1
            WHEN practitioner_rank < %(third)s THEN 2
            ELSE 3 + practitioner_rank %% (cardinality(%(practitioners)s::uuid[]) - 3)
        END] AS practitioner_id,
        CASE
            WHEN branch_rank < %(large)s THEN %(large_branch)s
            WHEN branch_rank < %(large)s + %(medium)s THEN %(medium_branch)s
            ELSE (%(other_branches)s)[1 + branch_rank %% cardinality(%(other_branches)s)]
        END AS branch_id
    FROM (
        SELECT *, row_number() OVER (ORDER BY practitioner) - 1 AS practitioner_rank,
            row_number() OVER (ORDER BY branch) - 1 AS branch_rank
        FROM chance
    ) ranked
) placed
ORDER BY n
"""

INSERT_REFERRALS = """
INSERT INTO medics_referral (id, facility_branch_id, patient_id, clinical_notes, referred_by_id,
    status, referred_at, updated_at, completed_at, test_ids)
SELECT id, branch_id, patient_id, CASE mod(n, 3) WHEN 0 THEN 'Fever for three days.' ELSE '' END,
    practitioner_id, status, referred_at,
    CASE status WHEN 'Completed' THEN referred_at + turnaround ELSE referred_at END,
    CASE status WHEN 'Completed' THEN referred_at + turnaround END,
    ARRAY(SELECT first_test + test FROM unnest(tests) AS test ORDER BY 1)
FROM drawn WHERE n > %s AND n <= %s ORDER BY n
"""

# The tests of a completed referral are completed, as the service has it.
INSERT_TESTS = """
INSERT INTO medics_referraltest
    (id, referral_id, test_id, status, created_at, updated_at, completed_at)
SELECT 3 * (n - 1) + place, id, first_test + test, test_status, referred_at,
    CASE test_status WHEN 'Completed' THEN referred_at + turnaround ELSE referred_at END,
    CASE test_status WHEN 'Completed' THEN referred_at + turnaround END
FROM drawn
CROSS JOIN LATERAL unnest(tests, test_statuses) WITH ORDINALITY AS picked (test, chance, place)
CROSS JOIN LATERAL (
    SELECT CASE drawn.status WHEN 'Completed' THEN 'Completed'
        ELSE (ARRAY['Pending', 'Received', 'Completed'])[1 + floor(3 * chance)::integer]
    END AS test_status
) AS decided
WHERE n > %s AND n <= %s ORDER BY n, place
"""


# Asking the row trigger three million times takes longer than the load; the rule is asked of all
# rows at once instead, before the trigger is switched on again.
DISABLE_TRIGGER = "ALTER TABLE medics_referraltest DISABLE TRIGGER test_belongs_to_facility"
ENABLE_TRIGGER = "ALTER TABLE medics_referraltest ENABLE TRIGGER test_belongs_to_facility"
TESTS_OF_OTHER_FACILITIES = """
SELECT count(*)
FROM medics_referraltest referral_test
JOIN medics_referral referral ON referral.id = referral_test.referral_id
JOIN medics_facilitybranch branch ON branch.id = referral.facility_branch_id
JOIN medics_test test ON test.id = referral_test.test_id
JOIN medics_testtype test_type ON test_type.id = test.test_type_id
WHERE test_type.facility_id <> branch.facility_id
"""


def owned(number: int, *, referrals: int) -> int:
    """How many of `referrals` one practitioner or branch owns: `number`, but a fifth at most."""
    return min(number, referrals // 5)


def load(referrals: int, *, progress: bool = False) -> None:
    """All or nothing. Raises NotEmptyError where the database holds anything already."""
    with transaction.atomic():
        for model in MODELS:
            if model._default_manager.exists():
                raise NotEmptyError(
                    f"The database already holds {model._meta.verbose_name_plural}."
                )
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        copy_rows(User, network.users())
        copy_rows(Facility, network.facilities())
        copy_rows(FacilityBranch, network.branches())
        copy_rows(BranchTechnician, network.assignments())
        copy_rows(TestType, network.test_types())
        copy_rows(Test, network.tests())
        with tqdm(total=referrals, unit="referral", disable=not progress) as bar:
            bar.set_description("patients")
            _load_patients(_patients(referrals))
            bar.set_description("draws")
            _draw(referrals)
            bar.set_description("referrals")
            _insert(referrals, bar)


def vacuum() -> None:
    """What autovacuum would come to do in the midst of a measurement. Not within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT medics_fold_all_counts()")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")


def _patients(referrals: int) -> int:
    return max(1, referrals * 3 // 10)


def _load_patients(number: int) -> None:
    remaining = network.patients(number)
    while batch := list(islice(remaining, BATCH_SIZE)):
        copy_rows(Patient, batch)


def _draw(referrals: int) -> None:
    first = owned(2_000, referrals=referrals)
    second = first + owned(20_000, referrals=referrals)
    special = {network.BRANCH_OF_A_THIRD, network.BRANCH_OF_50_000}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(DRAW, {"referrals": referrals})
        cursor.execute(
            REFERRALS,
            {
                "referrals": referrals,
                "patients": _patients(referrals),
                "since": network.SINCE,
                "until": network.UNTIL,
                "practitioners": [str(network.user_id(n)) for n in network.PRACTITIONERS],
                "first": first,
                "second": second,
                "third": second + owned(100, referrals=referrals),
                "large": referrals // 3,
                "large_branch": network.BRANCH_OF_A_THIRD,
                "medium": owned(50_000, referrals=referrals),
                "medium_branch": network.BRANCH_OF_50_000,
                "other_branches": [n for n in range(1, network.BRANCHES + 1) if n not in special],
                "branches_per_facility": network.BRANCHES // network.FACILITIES,
                "tests": network.TESTS_PER_FACILITY,
            },
        )
        cursor.execute("CREATE INDEX ON drawn (n)")
        cursor.execute("ANALYZE drawn")


def _insert(referrals: int, bar: tqdm) -> None:
    with connection.cursor() as cursor:
        cursor.execute(DISABLE_TRIGGER)
        for start in range(0, referrals, BATCH_SIZE):
            end = min(start + BATCH_SIZE, referrals)
            cursor.execute(INSERT_REFERRALS, [start, end])
            cursor.execute(INSERT_TESTS, [start, end])
            bar.update(end - start)
        # Before it, the planner takes the tables for empty, and the check takes minutes.
        cursor.execute("ANALYZE")
        cursor.execute(TESTS_OF_OTHER_FACILITIES)
        if cursor.fetchone() != (0,):
            raise IntegrityError("A test is not offered by the facility of its referral.")
        cursor.execute(ENABLE_TRIGGER)
        for statement in connection.ops.sequence_reset_sql(no_style(), MODELS):
            cursor.execute(statement)
