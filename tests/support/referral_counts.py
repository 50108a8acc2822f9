"""Compares the kept counts of referrals with what count(*) counts."""

from tests.support.database import execute

# One statement, so that no change comes between the two counts.
WRONG_COUNTS = """
    WITH kept AS (
        SELECT coalesce(branch_id::text, practitioner_id::text) AS whose, status, sum(number)
        FROM medics_referralcount GROUP BY 1, 2 HAVING sum(number) <> 0
    ), counted AS (
        SELECT facility_branch_id::text AS whose, status, count(*)
        FROM medics_referral GROUP BY 1, 2
        UNION ALL
        SELECT referred_by_id::text, status, count(*) FROM medics_referral GROUP BY 1, 2
    )
    (TABLE kept EXCEPT ALL TABLE counted) UNION ALL (TABLE counted EXCEPT ALL TABLE kept)
"""


def wrong_counts() -> list[tuple]:
    """Return (whose, status, number) of each kept count that is wrong, and of what it should be."""
    return execute(WRONG_COUNTS)
