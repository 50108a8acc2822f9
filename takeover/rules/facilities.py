"""Facilities, their branches and their catalogues."""

from .rule import (
    UNASSIGNED,
    Rule,
    name_taken,
    next_id,
    nothing,
    orphan,
    without_name,
    without_parent,
)

THE_FACILITY = "SELECT id FROM predecessor_facility WHERE made"
THE_BRANCH = "SELECT id FROM predecessor_facility_branch WHERE made"
THE_TYPE = f"SELECT id FROM predecessor_testtype WHERE made AND facility_id = ({THE_FACILITY})"


def any_orphan(staging: str, column: str, parent: str) -> str:
    return f"EXISTS (SELECT FROM {staging} child WHERE {orphan(column, parent)})"


NO_BRANCH = (
    any_orphan("predecessor_referral", "facility_branch_id", "predecessor_facility_branch")
    + " OR "
    + any_orphan("predecessor_branch_technician", "branch_id", "predecessor_facility_branch")
)
NO_TYPE = any_orphan("predecessor_test", "test_type_id", "predecessor_testtype")
NO_FACILITY = " OR ".join(
    (
        any_orphan("predecessor_facility_branch", "facility_id", "predecessor_facility"),
        any_orphan("predecessor_testtype", "facility_id", "predecessor_facility"),
        NO_BRANCH,
        NO_TYPE,
    )
)

FACILITIES = (
    without_name("Facility", "predecessor_facility"),
    Rule(
        "facility_administrator_unknown",
        "Facility",
        "no administrator",
        f"""
        SELECT id, {nothing("admin_id")} AS wrong, 'no administrator' AS done,
            NULL::uuid AS admin_id
        FROM predecessor_facility child
        WHERE admin_id IS NOT NULL AND {orphan("admin_id", "predecessor_user")}
        """,
        ("admin_id",),
    ),
    Rule(
        "administrator_of_two_facilities",
        "Facility",
        "no administrator",
        """
        SELECT id, concat('its administrator ', admin_id, ' is also that of ', keeper) AS wrong,
            'no administrator' AS done, NULL::uuid AS admin_id
        FROM (
            SELECT *, row_number() OVER theirs AS place, first_value(id) OVER theirs AS keeper
            FROM predecessor_facility WHERE admin_id IS NOT NULL
            WINDOW theirs AS (PARTITION BY admin_id ORDER BY extract(epoch FROM created_at)
                * CASE %(administrator_of_two)s WHEN 'newest' THEN -1 ELSE 1 END, id)
        ) administered WHERE place > 1
        """,
        ("admin_id",),
        option="administrator_of_two",
    ),
    Rule(
        "facility_made",
        "Facility",
        "made",
        f"""
        SELECT {next_id("predecessor_facility")} AS id, wrong,
            'made, to keep what has no facility' AS done, '{UNASSIGNED}' AS name,
            now() AS created_at
        FROM (SELECT 'rows without a parent' AS wrong WHERE {NO_FACILITY}) needed
        """,
        ("name", "created_at"),
        makes=True,
    ),
    without_name("Facility_Branch", "predecessor_facility_branch"),
    without_parent(
        "branch_without_facility",
        "Facility_Branch",
        "predecessor_facility_branch",
        "facility_id",
        "predecessor_facility",
        THE_FACILITY,
    ),
    Rule(
        "branch_made",
        "Facility_Branch",
        "made, closed",
        f"""
        SELECT {next_id("predecessor_facility_branch")} AS id, wrong,
            'made, closed, to keep what has no branch' AS done, '{UNASSIGNED}' AS name,
            now() AS created_at, ({THE_FACILITY}) AS facility_id, false AS is_active
        FROM (SELECT 'rows without a branch' AS wrong WHERE {NO_BRANCH}) needed
        """,
        ("name", "created_at", "facility_id", "is_active"),
        makes=True,
    ),
    name_taken("Facility_Branch", "predecessor_facility_branch", "facility_id"),
    without_name("TestType", "predecessor_testtype"),
    without_parent(
        "type_without_facility",
        "TestType",
        "predecessor_testtype",
        "facility_id",
        "predecessor_facility",
        THE_FACILITY,
    ),
    Rule(
        "type_made",
        "TestType",
        "made",
        f"""
        SELECT {next_id("predecessor_testtype")} AS id, wrong,
            'made, to keep what has no type' AS done, '{UNASSIGNED}' AS name,
            now() AS created_at, ({THE_FACILITY}) AS facility_id
        FROM (SELECT 'tests without a type' AS wrong WHERE {NO_TYPE}) needed
        """,
        ("name", "created_at", "facility_id"),
        makes=True,
    ),
    without_name("Test", "predecessor_test"),
    without_parent(
        "test_without_type",
        "Test",
        "predecessor_test",
        "test_type_id",
        "predecessor_testtype",
        THE_TYPE,
    ),
    Rule(
        "price_impossible",
        "Test",
        "0",
        """
        SELECT id, concat('price ', price) AS wrong, 'price 0' AS done, 0 AS price
        FROM predecessor_test WHERE price < 0 OR price = 'NaN'
        """,
        ("price",),
    ),
)
