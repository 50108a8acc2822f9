"""Only listed, from what the predecessor says."""

from .rule import Rule

PATIENTS_TO_LOOK_AT = (
    Rule(
        "patient_may_be_several",
        "Patient",
        "kept; to be looked at",
        """
        SELECT patient_id AS id,
            concat('named by ', practitioners, ' practitioners for ', facilities, ' facilities')
                AS wrong,
            'kept as it is; look whether this is one person' AS done
        FROM (
            SELECT patient_id, count(DISTINCT referred_by_id) AS practitioners,
                count(DISTINCT facility_id) AS facilities
            FROM predecessor_referral referral
            LEFT JOIN predecessor_facility_branch branch ON branch.id = facility_branch_id
            GROUP BY patient_id
        ) referred WHERE practitioners > 1 OR facilities > 1
        """,
    ),
    Rule(
        "patient_several_times",
        "Patient",
        "kept; to be looked at",
        """
        SELECT id, concat('the name or id of patient ', first, ', too') AS wrong,
            'kept as it is; look whether they are one person' AS done
        FROM (
            SELECT id, first_value(id) OVER same AS first FROM predecessor_patient
            WHERE full_name_or_id ~ '\\S'
            WINDOW same AS (
                PARTITION BY tetradx_name_key(full_name_or_id) ORDER BY id)
        ) named WHERE first <> id
        """,
    ),
)
