"""A referral may hold tests of its branch's facility alone. Another facility's test becomes the
one of the same names that this facility has, or that is made for it, so that answers stay the
same.
"""

from .rule import Prepare, Rule, name_taken, next_id

TESTS_ELSEWHERE: tuple[Rule | Prepare, ...] = (
    Prepare(
        "predecessor_elsewhere",
        """
        SELECT within.id, within.referral_id, within.test_id, branch.facility_id,
            test_type.facility_id AS of_facility_id,
            test_type.name AS type_name, test.name, test.description, test.price, test.created_at
        FROM predecessor_referraltest within
        JOIN predecessor_referral referral ON referral.id = within.referral_id
        JOIN predecessor_facility_branch branch ON branch.id = referral.facility_branch_id
        JOIN predecessor_test test ON test.id = within.test_id
        JOIN predecessor_testtype test_type ON test_type.id = test.test_type_id
        WHERE test_type.facility_id <> branch.facility_id
        """,
    ),
    Rule(
        "type_copied",
        "TestType",
        "made",
        f"""
        SELECT {next_id("predecessor_testtype")} AS id, wrong,
            concat('made for facility ', facility_id, ', "', name, '"') AS done,
            name, facility_id, now() AS created_at
        FROM (
            SELECT DISTINCT ON (facility_id, tetradx_fold(type_name)) facility_id,
                type_name AS name,
                concat('referrals to facility ', facility_id, ' hold test ', test_id,
                    ' of facility ', of_facility_id) AS wrong
            FROM predecessor_elsewhere elsewhere WHERE NOT EXISTS (
                SELECT FROM predecessor_testtype own
                WHERE own.facility_id = elsewhere.facility_id
                    AND tetradx_fold(own.name) = tetradx_fold(elsewhere.type_name)
            )
            ORDER BY facility_id, tetradx_fold(type_name), test_id
        ) needed
        """,
        ("name", "facility_id", "created_at"),
        makes=True,
    ),
    Rule(
        "test_copied",
        "Test",
        "made",
        f"""
        SELECT {next_id("predecessor_test")} AS id, wrong,
            concat('made for facility ', facility_id, ', "', name, '"') AS done,
            name, description, price, created_at, test_type_id
        FROM (
            SELECT DISTINCT ON (facility_id, tetradx_fold(type_name), tetradx_fold(name))
                elsewhere.*,
                concat('referrals to facility ', facility_id, ' hold test ', test_id,
                    ' of facility ', of_facility_id) AS wrong,
                (SELECT own.id FROM predecessor_testtype own
                    WHERE own.facility_id = elsewhere.facility_id
                        AND tetradx_fold(own.name) = tetradx_fold(elsewhere.type_name)
                    ORDER BY own.name <> elsewhere.type_name, own.id LIMIT 1) AS test_type_id
            FROM predecessor_elsewhere elsewhere WHERE NOT EXISTS (
                SELECT FROM predecessor_testtype own_type
                JOIN predecessor_test own ON own.test_type_id = own_type.id
                WHERE own_type.facility_id = elsewhere.facility_id
                    AND tetradx_fold(own_type.name) = tetradx_fold(elsewhere.type_name)
                    AND tetradx_fold(own.name) = tetradx_fold(elsewhere.name)
            )
            ORDER BY facility_id, tetradx_fold(type_name), tetradx_fold(name), test_id
        ) needed
        """,
        ("name", "description", "price", "created_at", "test_type_id"),
        makes=True,
    ),
    Prepare(
        "predecessor_own",
        """
        SELECT elsewhere.id, elsewhere.referral_id, elsewhere.test_id, elsewhere.facility_id,
            of_facility_id, own.id AS own_id, own.test_type_id, elsewhere.name,
            elsewhere.description, elsewhere.price, elsewhere.created_at,
            native.id IS NULL AND row_number() OVER (
                PARTITION BY elsewhere.referral_id, own.id ORDER BY elsewhere.id) = 1 AS free
        FROM predecessor_elsewhere elsewhere
        JOIN (
            SELECT DISTINCT ON (elsewhere.facility_id, elsewhere.test_id)
                elsewhere.facility_id, elsewhere.test_id AS for_test_id, own.id, own.test_type_id
            FROM predecessor_elsewhere elsewhere
            JOIN predecessor_testtype own_type ON own_type.facility_id = elsewhere.facility_id
                AND tetradx_fold(own_type.name) = tetradx_fold(elsewhere.type_name)
            JOIN predecessor_test own ON own.test_type_id = own_type.id
                AND tetradx_fold(own.name) = tetradx_fold(elsewhere.name)
            ORDER BY elsewhere.facility_id, elsewhere.test_id,
                own_type.name <> elsewhere.type_name, own.name <> elsewhere.name, own.id
        ) own ON own.facility_id = elsewhere.facility_id AND for_test_id = elsewhere.test_id
        LEFT JOIN predecessor_referraltest native
            ON native.referral_id = elsewhere.referral_id AND native.test_id = own.id
        """,
    ),
    Rule(
        "test_copied_beside_its_namesake",
        "Test",
        "made",
        f"""
        SELECT {next_id("predecessor_test")} AS id, wrong,
            concat('made for facility ', facility_id, ', "', name, '"') AS done,
            name, description, price, created_at, test_type_id, test_id AS copy_of
        FROM (
            SELECT DISTINCT ON (facility_id, test_id) facility_id, test_id, test_type_id,
                description, price, created_at,
                left(name, 220) || ' (imported ' || test_id || ')' AS name,
                concat('a referral to facility ', facility_id, ' holds test ', test_id,
                    ' of facility ', of_facility_id, ' beside its namesake') AS wrong
            FROM predecessor_own WHERE NOT free ORDER BY facility_id, test_id
        ) needed
        """,
        ("name", "description", "price", "created_at", "test_type_id", "copy_of"),
        makes=True,
    ),
    Rule(
        "test_of_another_facility",
        "ReferralTest",
        "the facility's own of the same names",
        """
        SELECT id, concat('test ', test_id, ' is of facility ', of_facility_id) AS wrong,
            concat('test ', new_test_id, ' of facility ', facility_id) AS done,
            new_test_id AS test_id
        FROM (
            SELECT own.*, CASE WHEN free THEN own_id ELSE copy.id END AS new_test_id
            FROM predecessor_own own
            LEFT JOIN predecessor_test copy ON NOT free AND copy.copy_of = own.test_id
                AND copy.test_type_id = own.test_type_id
        ) moved
        """,
        ("test_id",),
    ),
    name_taken("TestType", "predecessor_testtype", "facility_id"),
    name_taken("Test", "predecessor_test", "test_type_id"),
)
