"""The SQL behind the two lists and one referral, which are asked most.

A list is two statements whatever its length, its totals and its page; a search asks one more
first, for the small tables that the text can occur in. Whose rows they are is the querysets' rule,
compiled into the SQL. Tests compare each answer with that of plain querysets and serializers;
docs/performance.md says what was measured.
"""

import re
from collections import Counter
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.models import CharField, UUIDField
from rest_framework.exceptions import PermissionDenied

from _tetradx.api.exceptions import BadRequest
from _tetradx.db.compiled_queries import Parameter, rows_of, sql_of
from _tetradx.values.folding import fold, name_key
from authentication.models import User
from medics.pagination import Ordering, Row

from .choices import ReferralStatus
from .models import FacilityBranch, Referral
from .models.referral import REFERRAL_ID, referral_id

# A searched or filtered list is counted no further, as the contract allows.
MOST_COUNTED = 10_000

# A text that has trigrams, as PostgreSQL takes them from words, is looked up by them, unless it
# means too many patients.
HAS_TRIGRAMS = re.compile(r"[^\W_]{3}|[^\W_]{2}[\W_]|[\W_][^\W_]")
MOST_PATIENTS = 4_000
# Fewer people than these are looked up among all accounts; else among the list's doctors.
MOST_PEOPLE = 1_000

USER: Any = Parameter("user", UUIDField())


def iso_time(column: str) -> str:
    """As REST_FRAMEWORK["DATETIME_FORMAT"] writes it."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


# What an answer shows of a referral `r`. Subselects, since PostgreSQL plans them in a third of the
# time of a join of as many tables.
SHOWN = {
    "referral_id": "r.id",
    "patient_name_or_id": "r.patient_name_or_id",
    "facility_name": """(
        SELECT facility.name FROM medics_facility facility
        JOIN medics_facilitybranch branch ON branch.facility_id = facility.id
        WHERE branch.id = r.facility_branch_id
    )""",
    "branch_name": "(SELECT name FROM medics_facilitybranch WHERE id = r.facility_branch_id)",
    "referring_doctor": "(SELECT full_name FROM authentication_user WHERE id = r.referred_by_id)",
    "referral_doctor": "(SELECT full_name FROM authentication_user WHERE id = r.referred_by_id)",
    "clinical_notes": "nullif(r.clinical_notes, '')",
    "status": "r.status",
    "referred_at": iso_time("r.referred_at"),
    "updated_at": iso_time("r.updated_at"),
    "completed_at": iso_time("r.completed_at"),
    "tests": "coalesce(tests.rows, '[]')",
    "test_type_name": "tests.type_names",
}

TESTS = f"""
    SELECT json_agg(row_to_json(test))::text AS rows, array_agg(test_type_name) AS type_names
    FROM (
        SELECT within.id AS test_id, test.name AS test_name, type.name AS test_type_name,
            within.status, {iso_time("within.created_at")} AS created_at
        FROM medics_referraltest within
        JOIN medics_test test ON test.id = within.test_id
        JOIN medics_testtype type ON type.id = test.test_type_id
        WHERE within.referral_id = r.id
        ORDER BY within.id
    ) AS test
"""

IN_ONE_REFERRAL = [name for name in SHOWN if name not in {"test_type_name", "referral_doctor"}]
IN_PRACTITIONERS_LIST = [
    name
    for name in [*IN_ONE_REFERRAL, "test_type_name"]
    if name not in {"referring_doctor", "updated_at", "completed_at"}
]
IN_TECHNICIANS_LIST = [*IN_PRACTITIONERS_LIST, "referral_doctor"]


def shown(names: list[str]) -> str:
    return ", ".join(SHOWN[name] for name in names)


def answer(names: list[str], row: list) -> dict[str, Any]:
    """What is shown under `names`; the tests stay the JSON that PostgreSQL made of them."""
    referral = dict(zip(names, row, strict=False))
    referral["tests"] = orjson.Fragment(referral["tests"])
    if "test_type_name" in referral:
        referral["test_type_name"] = ", ".join(dict.fromkeys(referral["test_type_name"] or ()))
    return referral


@cache
def one_referral_sql() -> str:
    this_one = Referral.objects.filter(pk=Parameter("referral", CharField()))
    return f"""
        SELECT EXISTS ({sql_of(this_one.visible_to(USER).values("pk"))}), {shown(IN_ONE_REFERRAL)}
        FROM medics_referral r CROSS JOIN LATERAL ({TESTS}) AS tests
        WHERE r.id = %(referral)s
    """


def one_referral(*, referral_id: str | None, user: User) -> dict[str, Any]:
    """What ReferralDetailSerializer shows of it.

    Raises BadRequest where there is none, PermissionDenied where the user has no part in it.
    """
    rows = rows_of(one_referral_sql(), {"referral": referral_id, "user": user.pk})
    for is_visible, *row in rows:
        if not is_visible:
            raise PermissionDenied
        return answer(IN_ONE_REFERRAL, row)
    raise BadRequest("Referral does not exist.")


class Scope(NamedTuple):
    """Whose list: the referrals whose `column` is one of the keys, which are SQL."""

    column: str
    keys: str
    count_column: str
    # What the text of a search can occur in, as SQL for Matches.
    names: str
    shown: list[str]


class Matches(NamedTuple):
    """What a text occurs in: ids, and whether that is a name which all of the list shares."""

    patients: list[int]
    branches: list[int]
    doctors: list[UUID]
    tests: list[int]
    is_everywhere: bool


# Who may be meant: what their referrals say is looked at next. Spacing aside, as in the index.
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
    """The ids of those who referred to the branch, from its index alone, one step for each."""
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
        names=f"""
            SELECT ARRAY({PATIENTS} LIMIT %(most)s), ARRAY({BRANCHES}), ARRAY[]::uuid[],
                ARRAY({TESTS_OF_CATALOGUE}), EXISTS ({DOCTORS} AND id = %(user)s)
        """,
        count_column="practitioner_id",
        shown=IN_PRACTITIONERS_LIST,
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
        names=f"""
            WITH theirs AS MATERIALIZED ({branches}),
                named AS MATERIALIZED ({BRANCHES} AND branch.id IN (SELECT pk FROM theirs)),
                people AS MATERIALIZED ({DOCTORS} LIMIT %(most_people)s)
            SELECT ARRAY({PATIENTS} LIMIT %(most)s), ARRAY(SELECT id FROM named),
                CASE WHEN (SELECT count(*) FROM people) < %(most_people)s
                    THEN ARRAY(SELECT id FROM people)
                    ELSE ARRAY({DOCTORS} AND id = ANY (ARRAY({doctors})))
                END,
                ARRAY({TESTS_OF_CATALOGUE}
                    AND type.facility_id IN (SELECT facility_id FROM theirs)),
                (SELECT count(*) FROM named) = (SELECT count(*) FROM theirs)
        """,
        count_column="branch_id",
        shown=IN_TECHNICIANS_LIST,
    )


# What a list can be sorted by: columns, the last of which is unique, and their types.
SORTED_BY = {
    "time": {"referred_at": "timestamptz", "id": "text"},
    "doctor": {
        "doctor_name": "text",
        "doctor_id": "uuid",
        "referred_at": "timestamptz",
        "id": "text",
    },
}


# The moments from and to which a referral could still appear before one that is there: from the
# begin of the oldest open transaction that has written anything, before which none of its own is
# dated; and no further than clocks differ, for one that is dated ahead waits for nobody.
UNSETTLED = f"""
    SELECT ARRAY[
        {iso_time("least(statement_timestamp(), min(xact_start))")},
        {iso_time("(statement_timestamp() + interval '1 minute')")}
    ]
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


class ReferralList:
    """The referrals of a scope that search and filters leave."""

    def __init__(self, scope: Scope, user: User):
        self.scope = scope
        self.source = "medics_referral"
        self.status: ReferralStatus | None = None
        self.terms: list[str] = []
        self.values: dict[str, Any] = {"user": user.pk}
        self.unsettled: list[str] | None = None

    def filter(
        self,
        *,
        status: ReferralStatus | None = None,
        branch_id: int | None = None,
        referred_from: date | None = None,
        referred_to: date | None = None,
    ) -> None:
        """The days are in UTC and both included."""
        self.status = status
        self.values["status"] = status
        if branch_id is not None:
            self.terms.append("r.facility_branch_id = %(branch)s")
            self.values["branch"] = branch_id
        if referred_from is not None:
            self.terms.append("r.referred_at >= %(first_moment)s")
            self.values["first_moment"] = datetime.combine(referred_from, time.min, UTC)
        if referred_to is not None:
            self.terms.append("r.referred_at <= %(last_moment)s")
            self.values["last_moment"] = datetime.combine(referred_to, time.max, UTC)

    def search(self, text: str) -> None:
        """Leaves those where the text occurs, whatever its case, in a name that they show.

        A few patients, where nothing else has such a name, are looked up by their ids. Anything
        else walks the list's index, which holds what is then compared: the patient's name and the
        ids of the tests.
        """
        folded, key = fold(text), name_key(text)
        by_trigrams = HAS_TRIGRAMS.search(key) is not None
        self.values |= {
            "like": containing(folded),
            "like_key": containing(key),
            "id": referral_id(folded),
            "most": MOST_PATIENTS + 1 if by_trigrams else 0,
            "most_people": MOST_PEOPLE if HAS_TRIGRAMS.search(folded) else 0,
        }
        matches = Matches(*rows_of(self.scope.names, self.values)[0])
        if matches.is_everywhere:
            return
        self.values |= matches._asdict()
        terms: dict[str, Any] = {
            "r.id = %(id)s": REFERRAL_ID.fullmatch(referral_id(folded)),
            "r.facility_branch_id = ANY (%(branches)s)": matches.branches,
            "r.referred_by_id = ANY (%(doctors)s)": matches.doctors,
            "r.test_ids && %(tests)s::bigint[]": matches.tests,
        }
        has_name = "r.patient_name_folded LIKE %(like)s"
        are_patients_known = by_trigrams and len(matches.patients) <= MOST_PATIENTS
        if are_patients_known and not (matches.branches or matches.doctors or matches.tests):
            # OFFSET 0 keeps PostgreSQL from walking the list for them after all.
            terms[f"r.patient_id = ANY (%(patients)s) AND {has_name}"] = matches.patients
            self.source = f"""(
                SELECT id, referred_at, status, facility_branch_id, referred_by_id
                FROM medics_referral r WHERE {any_of(terms)} OFFSET 0
            )"""
            return
        terms[has_name] = matches.patients or not are_patients_known
        self.terms.append(any_of(terms))

    def totals(self, ordering: Ordering) -> tuple[dict[str, int], bool]:
        """The number of referrals, all and by status; and whether there are more than counted.

        For a list that goes upwards in time it also finds out which rows are `unsettled`: that must
        be known before the rows are read.
        """
        is_searched = self.terms or self.source != "medics_referral"
        sql = self._counting_sql() if is_searched else self._summing_sql()
        goes_up_in_time = ordering == Ordering("time", descending=False)
        unsettled = f"({UNSETTLED})" if goes_up_in_time else "NULL"
        counts: Counter[str] = Counter()
        is_capped = False
        rows = rows_of(
            f"SELECT counted.*, {unsettled} FROM ({sql}) AS counted",
            {**self.values, "most": MOST_COUNTED},
        )
        self.unsettled = rows[0][-1] if rows else None
        for status, number, is_beyond, _ in rows:
            counts[status] += 0 if is_beyond else number
            is_capped |= is_beyond
        totals = {
            "total_referrals": counts.total(),
            "total_completed": counts[ReferralStatus.COMPLETED],
            "total_pending": counts[ReferralStatus.PENDING],
            "total_received": counts[ReferralStatus.RECEIVED],
            "total_cancelled": counts[ReferralStatus.CANCELLED],
        }
        return totals, is_capped

    def rows(
        self,
        ordering: Ordering,
        *,
        limit: int,
        offset: int = 0,
        position: list[str] | None = None,
        backwards: bool = False,
    ) -> list[Row]:
        """As `medics.pagination.FetchRows`."""
        is_down = ordering.descending is not backwards
        columns = SORTED_BY[ordering.name]
        order = ", ".join(f"{column} {'DESC' if is_down else 'ASC'}" for column in columns)
        if position is None:
            beyond = ""
        else:
            given = ", ".join(f"%({name}_given)s::{type_}" for name, type_ in columns.items())
            beyond = f"({', '.join(columns)}) {'<' if is_down else '>'} ({given})"
        by_doctor = ordering.name == "doctor"
        page = self._by_doctor_sql(order, beyond) if by_doctor else self._by_time_sql(order, beyond)
        place = ", ".join(
            iso_time(f"page.{name}") if type_ == "timestamptz" else f"page.{name}::text"
            for name, type_ in columns.items()
        )
        sql = f"""
            SELECT ARRAY[{place}], {shown(self.scope.shown)}
            FROM (
                SELECT page.* FROM ({self.scope.keys}) AS scope CROSS JOIN LATERAL ({page}) AS page
                ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
            ) AS page
            JOIN medics_referral r ON r.id = page.id
            CROSS JOIN LATERAL ({TESTS}) AS tests
            ORDER BY {", ".join(f"page.{term}" for term in order.split(", "))}
        """
        values: dict[str, Any] = {"limit": limit, "offset": offset, "end": offset + limit}
        if position is not None:
            values |= zip((f"{name}_given" for name in columns), position, strict=True)
        return [
            Row(position=place, shown=answer(self.scope.shown, row))
            for place, *row in rows_of(sql, {**self.values, **values})
        ]

    def _where(self, *more: str) -> str:
        status = ["r.status = %(status)s"] if self.status else []
        return " AND ".join(
            filter(None, [f"r.{self.scope.column} = scope.key", *self.terms, *status, *more])
        )

    def _by_time_sql(self, order: str, beyond: str) -> str:
        return f"""
            SELECT r.id, r.referred_at FROM {self.source} AS r WHERE {self._where(beyond)}
            ORDER BY {order} LIMIT %(end)s
        """

    def _by_doctor_sql(self, order: str, beyond: str) -> str:
        """Doctor by doctor, so that those behind the page are not read."""
        if self.source != "medics_referral":
            # The few that were found; they must not be looked up for each doctor again.
            return f"""
                SELECT r.id, r.referred_at, doctor_name, doctor_id
                FROM {self.source} AS r JOIN (
                    SELECT id AS doctor_id, tetradx_fold(full_name) AS doctor_name
                    FROM authentication_user
                ) AS doctor ON r.referred_by_id = doctor_id
                WHERE {self._where(beyond)}
                ORDER BY {order} LIMIT %(end)s
            """
        direction = order.split()[1].rstrip(",")
        return f"""
            SELECT r.id, r.referred_at, doctor_name, doctor_id
            FROM (
                SELECT id AS doctor_id, tetradx_fold(full_name) AS doctor_name
                FROM authentication_user
                WHERE id = ANY (ARRAY({doctors_of_branch("scope.key")}))
                ORDER BY doctor_name {direction}, id {direction}
            ) AS doctor
            CROSS JOIN LATERAL (
                SELECT r.id, r.referred_at FROM {self.source} AS r
                WHERE {self._where("r.referred_by_id = doctor_id", beyond)}
                ORDER BY r.referred_at {direction}, r.id {direction} LIMIT %(end)s
            ) AS r
            ORDER BY {order} LIMIT %(end)s
        """

    def _summing_sql(self) -> str:
        return f"""
            SELECT status, sum(number), false FROM medics_referralcount
            WHERE {self.scope.count_column} = ANY (ARRAY({self.scope.keys}))
                {"AND status = %(status)s" if self.status else ""}
            GROUP BY status
        """

    def _counting_sql(self) -> str:
        return f"""
            SELECT status, count(*), number > %(most)s
            FROM (
                SELECT r.status, row_number() OVER () AS number
                FROM ({self.scope.keys}) AS scope CROSS JOIN LATERAL (
                    SELECT r.status FROM {self.source} AS r WHERE {self._where()}
                    LIMIT %(most)s + 1
                ) AS r
                LIMIT %(most)s + 1
            ) AS counted
            GROUP BY 1, 3
        """


def any_of(terms: dict[str, Any]) -> str:
    """The terms whose value is not empty, one of which is to hold."""
    return f"({' OR '.join(term for term, value in terms.items() if value) or 'false'})"


def containing(text: str) -> str:
    """A pattern of LIKE for what contains the text."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
