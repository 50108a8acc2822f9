"""What is done with the rows that fit no rule of ours: one table, in the order of its run.

The rules work on the temporary tables of `takeover.tables`, none of which is seen by anybody else.
A row that is `made` there came from a rule and not from the predecessor.
"""

from dataclasses import dataclass
from typing import NamedTuple

from medics.models.referral import REFERRAL_ID

UNASSIGNED = "Unassigned (imported)"


class Option(NamedTuple):
    """What the operator decides. Until then the first choice is what `--check` supposes."""

    name: str
    choices: tuple[str, ...]
    says: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


OPTIONS = (
    Option(
        "administrator_of_two",
        ("oldest", "newest"),
        "Which facility keeps the administrator whom several name.",
    ),
    Option(
        "technician_of_two",
        ("latest", "earliest"),
        "Which assignment says where somebody works who is assigned to several facilities.",
    ),
    Option(
        "unknown_user_type",
        ("Patient", "Lab Technician", "Medical Practitioner"),
        "What a user is whose type is none of ours.",
    ),
    Option(
        "unknown_status",
        ("Received", "Pending", "Completed"),
        "Where a referral or a test stands whose status is none of ours.",
    ),
)


@dataclass(frozen=True)
class Rule:
    """`found` selects the id, what is wrong, what is done, and the columns that are set."""

    name: str
    table: str
    does: str  # for the summary
    found: str
    sets: tuple[str, ...] = ()
    forgets: tuple[str, ...] = ()  # columns of the predecessor that have no place here
    makes: bool = False  # what is found are new rows
    option: str = ""  # the name of what decides; without it nothing is imported
    stops: bool = False  # nothing decides this one: it must be mended in the predecessor
    repeats: bool = False  # until nothing is found, with %(round)s counting


class Prepare(NamedTuple):
    """A temporary table for the rules that follow."""

    table: str
    select: str


def placeholder(user_id: str) -> str:
    """A phone number that is none, has no digit, and is as unique as the id."""
    letters = f"translate(left(md5(({user_id})::text), 11), '0123456789abcdef', 'ghijklmnopabcdef')"
    return f"'none_' || {letters}"


STAND_IN = (
    "password",
    "is_superuser",
    "is_staff",
    "is_active",
    "date_joined",
    "created_at",
    "updated_at",
    "user_type",
    "full_name",
    "phone_number",
    "phone_key",
)


def stand_in(user_id: str, user_type: str, full_name: str) -> str:
    """The columns of a user who cannot log in, and only holds what hangs on somebody."""
    number = placeholder(user_id)
    return f"""
        '!imported' AS password, false AS is_superuser, false AS is_staff, false AS is_active,
        now() AS date_joined, now() AS created_at, now() AS updated_at, '{user_type}' AS user_type,
        {full_name} AS full_name, {number} AS phone_number, {number} AS phone_key
    """


def without_name(table: str, staging: str, column: str = "name") -> Rule:
    return Rule(
        f"{table.lower()}_without_name",
        table,
        "named by its id",
        f"""
        SELECT id, 'no name' AS wrong, concat('named "Unnamed (imported ', id, ')"') AS done,
            concat('Unnamed (imported ', id, ')') AS {column}
        FROM {staging} WHERE {column} IS NULL OR {column} !~ '\\S'
        """,
        (column,),
    )


def without_parent(
    name: str, table: str, staging: str, column: str, parent: str, unassigned: str
) -> Rule:
    return Rule(
        name,
        table,
        f'kept under "{UNASSIGNED}"',
        f"""
        SELECT child.id, {nothing(column)} AS wrong,
            concat('kept under "{UNASSIGNED}", ', unassigned.id) AS done, unassigned.id AS {column}
        FROM {staging} child, ({unassigned}) unassigned WHERE {orphan(column, parent)}
        """,
        (column,),
    )


def nothing(column: str) -> str:
    return f"concat('{column} ', coalesce(child.{column}::text || ' does not exist', 'is empty'))"


def orphan(column: str, parent: str) -> str:
    return f"NOT EXISTS (SELECT FROM {parent} parent WHERE parent.id = child.{column})"


def name_taken(table: str, staging: str, parent: str) -> Rule:
    suffix = "' (imported ' || id || CASE %(round)s WHEN 1 THEN '' ELSE '.' || %(round)s END || ')'"
    return Rule(
        f"{table.lower()}_name_taken",
        table,
        "its id added to the name",
        f"""
        SELECT id, concat('"', name, '" is the name of ', keeper, ', too') AS wrong,
            concat('named "', new_name, '"') AS done, new_name AS name
        FROM (
            SELECT *, left(name, 255 - length({suffix})) || {suffix} AS new_name,
                row_number() OVER same_name AS place, first_value(id) OVER same_name AS keeper
            FROM {staging}
            WINDOW same_name AS (PARTITION BY {parent}, lower(name) ORDER BY made, id)
        ) AS named WHERE place > 1
        """,
        ("name",),
        repeats=True,
    )


def next_id(staging: str) -> str:
    return f"(SELECT coalesce(max(id), 0) FROM {staging}) + row_number() OVER (ORDER BY wrong)"


def status_rules(table: str, staging: str) -> tuple[Rule, ...]:
    kind = table.lower()
    known = "('Pending', 'Received', 'Completed')"
    return (
        Rule(
            f"{kind}_status_spelled_otherwise",
            table,
            "spelled as ours",
            f"""
            SELECT id, concat('status "', status, '"') AS wrong,
                concat('status "', initcap(btrim(status)), '"') AS done,
                initcap(btrim(status)) AS status
            FROM {staging} WHERE status NOT IN {known} AND initcap(btrim(status)) IN {known}
            """,
            ("status",),
        ),
        Rule(
            f"{kind}_status_unknown",
            table,
            "as was decided",
            f"""
            SELECT id, concat('status "', status, '"') AS wrong,
                concat('status "', %(unknown_status)s, '"') AS done, %(unknown_status)s AS status
            FROM {staging} WHERE status IS NULL OR status NOT IN {known}
            """,
            ("status",),
            option="unknown_status",
        ),
    )


def completed_at_rules(table: str, staging: str) -> tuple[Rule, ...]:
    kind = table.lower()
    return (
        Rule(
            f"{kind}_completed_at_missing",
            table,
            "taken from updated_at",
            f"""
            SELECT id, 'Completed without completed_at' AS wrong,
                concat('completed_at taken from updated_at, ', updated_at) AS done,
                updated_at AS completed_at
            FROM {staging} WHERE status = 'Completed' AND completed_at IS NULL
            """,
            ("completed_at",),
        ),
        Rule(
            f"{kind}_completed_at_too_early",
            table,
            "emptied",
            f"""
            SELECT id, concat(status, ' with completed_at ', completed_at) AS wrong,
                'completed_at emptied' AS done, NULL::timestamptz AS completed_at
            FROM {staging} WHERE status <> 'Completed' AND completed_at IS NOT NULL
            """,
            ("completed_at",),
        ),
    )


def points_at_nothing(table: str, staging: str, column: str, parent: str) -> Rule:
    return Rule(
        f"{table.lower()}_{column}_points_at_nothing",
        table,
        "nothing is imported",
        f"""
        SELECT id, {nothing(column)} AS wrong,
            'nothing is imported: mend it in the predecessor, whose foreign key forbids it' AS done
        FROM {staging} child WHERE {orphan(column, parent)}
        """,
        stops=True,
    )


KNOWN_TYPES = "('Medical Practitioner', 'Lab Technician', 'Patient')"
# Of MEDICAL_PRACTITIONER as of "medical practitioner".
TYPE_AS_OURS = "initcap(btrim(regexp_replace(user_type, '[^[:alpha:]]+', ' ', 'g')))"

USERS = (
    Rule(
        "user_type_spelled_otherwise",
        "User",
        "spelled as ours",
        f"""
        SELECT id, concat('user_type "', user_type, '"') AS wrong,
            concat('user_type "', {TYPE_AS_OURS}, '"') AS done, {TYPE_AS_OURS} AS user_type
        FROM predecessor_user
        WHERE user_type NOT IN {KNOWN_TYPES} AND {TYPE_AS_OURS} IN {KNOWN_TYPES}
        """,
        ("user_type",),
    ),
    Rule(
        "user_type_unknown",
        "User",
        "as was decided",
        f"""
        SELECT id, concat('user_type "', user_type, '"') AS wrong,
            concat('user_type "', %(unknown_user_type)s, '"') AS done,
            %(unknown_user_type)s AS user_type
        FROM predecessor_user WHERE user_type IS NULL OR user_type NOT IN {KNOWN_TYPES}
        """,
        ("user_type",),
        option="unknown_user_type",
    ),
    Rule(
        "user_without_full_name",
        "User",
        "first and last name put together",
        """
        SELECT id, 'no full_name' AS wrong,
            concat('full_name taken from first_name and last_name, "', name, '"') AS done,
            name AS full_name
        FROM (SELECT id, full_name, btrim(concat_ws(' ', first_name, last_name)) AS name
            FROM predecessor_user) named
        WHERE full_name IS NULL OR full_name = '' AND name <> ''
        """,
        ("full_name",),
    ),
    Rule(
        "user_columns_without_a_place",
        "User",
        "kept in report and history",
        """
        SELECT id,
            concat('no column for username "', username, '", first_name "', first_name,
                '", last_name "', last_name, '", email "', email, '"') AS wrong,
            'kept in this report' AS done
        FROM predecessor_user
        WHERE coalesce(username, '') NOT IN ('', coalesce(phone_number, ''), coalesce(cleaned, ''))
            OR btrim(concat_ws(' ', first_name, last_name)) NOT IN ('', full_name)
            OR email <> ''
        """,
        forgets=("username", "first_name", "last_name", "email"),
    ),
    Rule(
        "user_hash_unreadable",
        "User",
        "kept; needs a new password",
        """
        SELECT id, 'a password hash of a kind that is not read here' AS wrong,
            'kept; nobody logs in by it' AS done
        FROM predecessor_user
        WHERE password NOT LIKE '!%%' AND split_part(password, '$', 1) <> ALL (%(hashers)s)
        """,
    ),
    Rule(
        "phone_number_cleaned",
        "User",
        "separators dropped",
        """
        SELECT id, concat('phone_number "', phone_number, '"') AS wrong,
            concat('phone_number "', cleaned, '"') AS done, cleaned AS phone_number
        FROM predecessor_user WHERE cleaned <> phone_number AND cleaned <> ''
        """,
        ("phone_number",),
    ),
    Rule(
        "phone_number_missing",
        "User",
        "a placeholder in its place",
        f"""
        SELECT id, 'no phone_number' AS wrong,
            concat('phone_number "', {placeholder("id")}, '" in its place') AS done,
            {placeholder("id")} AS phone_number, {placeholder("id")} AS phone_key
        FROM predecessor_user WHERE coalesce(cleaned, '') = ''
        """,
        ("phone_number", "phone_key"),
    ),
    Rule(
        "phone_number_twice",
        "User",
        "a placeholder in its place, and disabled",
        f"""
        SELECT id,
            concat('phone_number "', phone_number, '" is also that of ', keeper,
                ', who keeps it') AS wrong,
            concat('phone_number "', {placeholder("id")}, '" in its place; ',
                CASE WHEN is_active THEN 'disabled' ELSE 'was disabled before' END) AS done,
            {placeholder("id")} AS phone_number, {placeholder("id")} AS phone_key,
            false AS is_active
        FROM (
            SELECT *, row_number() OVER same_number AS place,
                first_value(id) OVER same_number AS keeper
            FROM predecessor_user
            WINDOW same_number AS (PARTITION BY phone_key
                ORDER BY is_number DESC, last_login DESC NULLS LAST, date_joined DESC, id)
        ) numbered WHERE place > 1
        """,
        ("phone_number", "phone_key", "is_active"),
    ),
    Rule(
        "phone_number_is_none",
        "User",
        "kept, and still logs in",
        """
        SELECT id, concat('"', phone_number, '" is no phone number') AS wrong,
            'kept; the user logs in with it as before' AS done
        FROM predecessor_user WHERE NOT is_number AND phone_number = cleaned
        """,
    ),
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

# Somebody who works at one facility keeps the assignments there. Each other assignment is given to
# a disabled stand-in, so that the row stays and opens nobody a door.
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
            coalesce(facility.admin_id = person.id, false) AS administered,
            assignment.user_id AS named_user_id
        FROM predecessor_branch_technician assignment
        JOIN predecessor_facility_branch branch ON branch.id = assignment.branch_id
        JOIN predecessor_facility facility ON facility.id = branch.facility_id
        LEFT JOIN predecessor_user person ON person.id = assignment.user_id
        """,
    ),
    Prepare(
        "predecessor_apart",
        """
        SELECT id, full_name, chosen, facility_id, named_user_id, user_id,
            md5(concat('assignment ', id))::uuid AS stand_in_id,
            CASE WHEN user_id IS NULL THEN 'nobody' WHEN nowhere THEN 'nowhere'
                WHEN decided OR unassigned THEN 'decided' ELSE 'open' END AS reason
        FROM (
            SELECT *, first_value(facility_id) OVER theirs AS chosen,
                bool_or(administered) OVER (PARTITION BY user_id) AS decided
            FROM predecessor_workplace
            WINDOW theirs AS (PARTITION BY user_id ORDER BY administered DESC, unassigned,
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

# Only listed, from what the predecessor says.
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
                PARTITION BY lower(regexp_replace(full_name_or_id, '\\s+', '', 'g')) ORDER BY id)
        ) named WHERE first <> id
        """,
    ),
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

# A referral may hold tests of its branch's facility alone. Another facility's test becomes the one
# of the same names that this facility has, or that is made for it, so that answers stay the same.
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
            SELECT DISTINCT ON (facility_id, lower(type_name)) facility_id, type_name AS name,
                concat('referrals to facility ', facility_id, ' hold test ', test_id,
                    ' of facility ', of_facility_id) AS wrong
            FROM predecessor_elsewhere elsewhere WHERE NOT EXISTS (
                SELECT FROM predecessor_testtype own
                WHERE own.facility_id = elsewhere.facility_id
                    AND lower(own.name) = lower(elsewhere.type_name)
            )
            ORDER BY facility_id, lower(type_name), test_id
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
            SELECT DISTINCT ON (facility_id, lower(type_name), lower(name)) elsewhere.*,
                concat('referrals to facility ', facility_id, ' hold test ', test_id,
                    ' of facility ', of_facility_id) AS wrong,
                (SELECT own.id FROM predecessor_testtype own
                    WHERE own.facility_id = elsewhere.facility_id
                        AND lower(own.name) = lower(elsewhere.type_name)
                    ORDER BY own.name <> elsewhere.type_name, own.id LIMIT 1) AS test_type_id
            FROM predecessor_elsewhere elsewhere WHERE NOT EXISTS (
                SELECT FROM predecessor_testtype own_type
                JOIN predecessor_test own ON own.test_type_id = own_type.id
                WHERE own_type.facility_id = elsewhere.facility_id
                    AND lower(own_type.name) = lower(elsewhere.type_name)
                    AND lower(own.name) = lower(elsewhere.name)
            )
            ORDER BY facility_id, lower(type_name), lower(name), test_id
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
                AND lower(own_type.name) = lower(elsewhere.type_name)
            JOIN predecessor_test own ON own.test_type_id = own_type.id
                AND lower(own.name) = lower(elsewhere.name)
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

RULES: tuple[Rule | Prepare, ...] = (
    *USERS,
    *PATIENTS_TO_LOOK_AT,
    *FACILITIES,
    *STAFF,
    *REFERRALS,
    *TESTS_ELSEWHERE,
)
