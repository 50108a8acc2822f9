"""Referrals and their tests: where they belong, and how far they are."""

from medics.models.referral import REFERRAL_ID

from .facilities import THE_BRANCH, any_orphan
from .rule import (
    STAND_IN,
    UNASSIGNED,
    Rule,
    completed_at_rules,
    nothing,
    orphan,
    points_at_nothing,
    stand_in,
    status_rules,
    without_name,
    without_parent,
)

REFERRALS = (
    without_name("Patient", "predecessor_patient", "full_name_or_id"),
    points_at_nothing("Referral", "predecessor_referral", "patient_id", "predecessor_patient"),
    points_at_nothing(
        "ReferralTest", "predecessor_referraltest", "referral_id", "predecessor_referral"
    ),
    points_at_nothing("ReferralTest", "predecessor_referraltest", "test_id", "predecessor_test"),
    Rule(
        "referral_id_of_another_form",
        "Referral",
        "kept; in lists alone",
        f"""
        SELECT id, 'an id that no path can name' AS wrong,
            'kept; it is found in the lists alone' AS done
        FROM predecessor_referral WHERE id !~ '^{REFERRAL_ID.pattern}$'
        """,
    ),
    without_parent(
        "referral_without_branch",
        "Referral",
        "predecessor_referral",
        "facility_branch_id",
        "predecessor_facility_branch",
        THE_BRANCH,
    ),
    Rule(
        "practitioner_made",
        "User",
        "made, disabled",
        f"""
        SELECT md5('practitioner')::uuid AS id, 'referrals without a practitioner' AS wrong,
            'made, disabled, to keep them' AS done,
            {stand_in("md5('practitioner')", "Medical Practitioner", f"'{UNASSIGNED}'")}
        WHERE {any_orphan("predecessor_referral", "referred_by_id", "predecessor_user")}
        """,
        STAND_IN,
        makes=True,
    ),
    Rule(
        "referral_without_practitioner",
        "Referral",
        "kept by a stand-in",
        f"""
        SELECT child.id, {nothing("referred_by_id")} AS wrong,
            concat('kept by the stand-in ', md5('practitioner')::uuid) AS done,
            md5('practitioner')::uuid AS referred_by_id
        FROM predecessor_referral child WHERE {orphan("referred_by_id", "predecessor_user")}
        """,
        ("referred_by_id",),
    ),
    *status_rules("Referral", "predecessor_referral"),
    *status_rules("ReferralTest", "predecessor_referraltest"),
    Rule(
        "referral_completed_with_open_tests",
        "Referral",
        "back to Received",
        """
        SELECT id, concat('Completed at ', completed_at, ' with ', open_tests, ' open tests')
                AS wrong,
            'status "Received", completed_at empty' AS done, 'Received' AS status,
            NULL::timestamptz AS completed_at
        FROM predecessor_referral JOIN (
            SELECT referral_id, count(*) AS open_tests FROM predecessor_referraltest
            WHERE status <> 'Completed' GROUP BY 1
        ) still ON referral_id = id WHERE status = 'Completed'
        """,
        ("status", "completed_at"),
    ),
    *completed_at_rules("Referral", "predecessor_referral"),
    *completed_at_rules("ReferralTest", "predecessor_referraltest"),
)
