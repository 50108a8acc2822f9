"""What a rule is, what an operator decides, and the rules that several tables share."""

from dataclasses import dataclass
from typing import NamedTuple

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
            WINDOW same_name AS (PARTITION BY {parent}, tetradx_fold(name) ORDER BY made, id)
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
