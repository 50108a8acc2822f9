"""Whose referrals a list holds, and the names in which its search looks for a text."""

from functools import cache
from typing import Any, NamedTuple

from django.db.models import UUIDField

from _tetradx.db.compiled_queries import Parameter, sql_of

from ..models import FacilityBranch
from ..referral_fields import PRACTITIONERS_ROW, TECHNICIANS_ROW, Fields

USER: Any = Parameter("user", UUIDField())


class Scope(NamedTuple):
    """The referrals whose `column` is one of the keys that the SQL `keys` selects.

    `count_column` is that of medics_referralcount. `names` is the SQL of search.Matches.
    """

    column: str
    keys: str
    count_column: str
    names: str
    row_fields: Fields


# The patients who may be meant: the search looks at the names in their referrals next. The index
# ignores spacing.
PATIENTS = """
    SELECT id FROM medics_patient
    WHERE tetradx_name_key(full_name_or_id || also_named) LIKE %(like_key)s
"""
BRANCHES = """
    SELECT branch.id FROM medics_facilitybranch branch
    JOIN medics_facility facility ON facility.id = branch.facility_id
    WHERE (tetradx_fold(branch.name) LIKE %(like)s OR tetradx_fold(facility.name) LIKE %(like)s)
"""
DOCTORS = "SELECT id FROM authentication_user WHERE tetradx_fold(full_name) LIKE %(like)s"
TESTS_OF_CATALOGUE = """
    SELECT test.id FROM medics_test test
    JOIN medics_testtype type ON type.id = test.test_type_id
    WHERE (tetradx_fold(test.name) LIKE %(like)s OR tetradx_fold(type.name) LIKE %(like)s)
"""


def doctors_of_branch(branch: str) -> str:
    """Return the SQL of the ids of all who referred to the branch.

    Each id is one step through an index of the branch's referrals; the referrals are not read.
    """
    first = f"""
        SELECT referred_by_id FROM medics_referral WHERE facility_branch_id = {branch}
    """
    return f"""
        WITH RECURSIVE doctor AS (
            ({first} ORDER BY referred_by_id LIMIT 1)
            UNION ALL
            SELECT ({first} AND referred_by_id > doctor.referred_by_id
                ORDER BY referred_by_id LIMIT 1)
            FROM doctor WHERE referred_by_id IS NOT NULL
        )
        SELECT referred_by_id AS id FROM doctor WHERE referred_by_id IS NOT NULL
    """


@cache
def own_scope() -> Scope:
    return Scope(
        column="referred_by_id",
        keys="SELECT %(user)s::uuid AS key",
        count_column="practitioner_id",
        names=f"""
            SELECT ARRAY({PATIENTS} LIMIT %(most_patients)s), ARRAY({BRANCHES}), ARRAY[]::uuid[],
                ARRAY({TESTS_OF_CATALOGUE}), EXISTS ({DOCTORS} AND id = %(user)s)
        """,
        row_fields=PRACTITIONERS_ROW,
    )


@cache
def branch_scope() -> Scope:
    branches = sql_of(FacilityBranch.objects.worked_by(USER).values("pk", "facility"))
    doctors = f"""
        SELECT doctor.id FROM theirs
        CROSS JOIN LATERAL ({doctors_of_branch("theirs.pk")}) AS doctor
    """
    return Scope(
        column="facility_branch_id",
        keys=f"SELECT pk AS key FROM ({branches}) AS branch",
        count_column="branch_id",
        names=f"""
            WITH theirs AS MATERIALIZED ({branches}),
                named AS MATERIALIZED ({BRANCHES} AND branch.id IN (SELECT pk FROM theirs)),
                people AS MATERIALIZED ({DOCTORS} LIMIT %(most_people)s)
            SELECT ARRAY({PATIENTS} LIMIT %(most_patients)s), ARRAY(SELECT id FROM named),
                CASE WHEN (SELECT count(*) FROM people) < %(most_people)s
                    THEN ARRAY(SELECT id FROM people)
                    ELSE ARRAY({DOCTORS} AND id = ANY (ARRAY({doctors})))
                END,
                ARRAY({TESTS_OF_CATALOGUE}
                    AND type.facility_id IN (SELECT facility_id FROM theirs)),
                (SELECT count(*) FROM named) = (SELECT count(*) FROM theirs)
        """,
        row_fields=TECHNICIANS_ROW,
    )
