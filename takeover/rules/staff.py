"""Somebody who works at one facility keeps the assignments there; who administers one, those
there. Each other assignment is given to a disabled stand-in, so that the row stays and opens
nobody a door.
"""

from .facilities import THE_BRANCH
from .rule import STAND_IN, UNASSIGNED, Prepare, Rule, stand_in, without_parent

STAFF: tuple[Rule | Prepare, ...] = (
    without_parent(
        "assignment_without_branch",
        "Branch_Technician",
        "predecessor_branch_technician",
        "branch_id",
        "predecessor_facility_branch",
        THE_BRANCH,
    ),
    Prepare(
        "predecessor_workplace",
        """
        SELECT assignment.id, person.id AS user_id, person.full_name,
            branch.facility_id, branch.made AS nowhere, assignment.assigned_at,
            facility.made AS unassigned,
            administered.id AS administers, assignment.user_id AS named_user_id
        FROM predecessor_branch_technician assignment
        JOIN predecessor_facility_branch branch ON branch.id = assignment.branch_id
        JOIN predecessor_facility facility ON facility.id = branch.facility_id
        LEFT JOIN predecessor_user person ON person.id = assignment.user_id
        LEFT JOIN predecessor_facility administered ON administered.admin_id = person.id
        """,
    ),
    Prepare(
        "predecessor_apart",
        """
        SELECT id, full_name, chosen, facility_id, named_user_id, user_id,
            md5(concat('assignment ', id))::uuid AS stand_in_id,
            CASE WHEN user_id IS NULL THEN 'nobody' WHEN nowhere THEN 'nowhere'
                WHEN administers IS NOT NULL OR unassigned THEN 'decided' ELSE 'open' END AS reason
        FROM (
            SELECT *, coalesce(administers, first_value(facility_id) OVER theirs) AS chosen
            FROM predecessor_workplace
            WINDOW theirs AS (PARTITION BY user_id ORDER BY unassigned,
                extract(epoch FROM assigned_at)
                * CASE %(technician_of_two)s WHEN 'earliest' THEN 1 ELSE -1 END, id)
        ) placed
        WHERE user_id IS NULL OR nowhere OR facility_id <> chosen
        """,
    ),
    Rule(
        "stand_in_made",
        "User",
        "made, disabled",
        f"""
        SELECT stand_in_id AS id, concat('assignment ', id, ' cannot be kept by a user') AS wrong,
            'made, disabled, to keep it' AS done,
            {stand_in("stand_in_id", "Lab Technician", f"coalesce(full_name, '{UNASSIGNED}')")}
        FROM predecessor_apart
        """,
        STAND_IN,
        makes=True,
    ),
    Rule(
        "assignment_without_user",
        "Branch_Technician",
        "kept by a stand-in",
        """
        SELECT id, concat('user_id ', coalesce(named_user_id || ' does not exist', 'is empty'))
            AS wrong, concat('kept by the stand-in ', stand_in_id) AS done, stand_in_id AS user_id
        FROM predecessor_apart WHERE reason = 'nobody'
        """,
        ("user_id",),
    ),
    Rule(
        "assignment_to_no_branch",
        "Branch_Technician",
        "kept by a stand-in",
        """
        SELECT id, concat('user ', user_id, ' is assigned to no branch') AS wrong,
            concat('kept by the stand-in ', stand_in_id) AS done, stand_in_id AS user_id
        FROM predecessor_apart WHERE reason = 'nowhere'
        """,
        ("user_id",),
    ),
    *(
        Rule(
            name,
            "Branch_Technician",
            "kept by a stand-in",
            f"""
            SELECT id, concat('user ', user_id, ' works at facility ', chosen, ' and at ',
                    facility_id) AS wrong,
                concat('kept by the stand-in ', stand_in_id) AS done, stand_in_id AS user_id
            FROM predecessor_apart WHERE reason = '{reason}'
            """,
            ("user_id",),
            option=option,
        )
        for name, reason, option in (
            ("technician_beside_own_facility", "decided", ""),
            ("technician_of_two_facilities", "open", "technician_of_two"),
        )
    ),
)
