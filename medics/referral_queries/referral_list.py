from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any, Literal, TypeAlias

from _tetradx.db.compiled_queries import rows_of
from authentication.models import User

from ..choices import ReferralStatus
from ..pagination import Ordering, Row
from ..referral_fields import TESTS, answer_of, columns_of, iso_time
from .scopes import Scope, doctors_of_branch
from .search import search_for

# Counting a searched or filtered list stops here, as the contract allows.
MOST_COUNTED = 10_000


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


# Between these two moments a referral could still appear before one that is already there. The
# first is the begin of the oldest open transaction that has written: it dates none of its referrals
# earlier. The second allows for clocks that differ; a row dated later than that is shown at once.
UNSETTLED = f"""
    SELECT ARRAY[
        {iso_time("least(statement_timestamp(), min(xact_start))")},
        {iso_time("(statement_timestamp() + interval '1 minute')")}
    ]
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


Direction: TypeAlias = Literal["ASC", "DESC"]


def in_order(columns: Iterable[str], direction: Direction) -> str:
    return ", ".join(f"{column} {direction}" for column in columns)


class ReferralList:
    """The referrals of a scope that search and filters leave."""

    def __init__(self, scope: Scope, user: User):
        self.scope = scope
        # The SQL of a search that finds a few rows by their patients, in place of the whole table.
        self.few_rows: str | None = None
        self.status: ReferralStatus | None = None
        self.conditions: list[str] = []
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
        """Leave the referrals that all given filters fit. The days are in UTC and inclusive."""
        self.status = status
        self.values["status"] = status
        if branch_id is not None:
            self.conditions.append("r.facility_branch_id = %(branch)s")
            self.values["branch"] = branch_id
        if referred_from is not None:
            self.conditions.append("r.referred_at >= %(first_moment)s")
            self.values["first_moment"] = datetime.combine(referred_from, time.min, UTC)
        if referred_to is not None:
            self.conditions.append("r.referred_at <= %(last_moment)s")
            self.values["last_moment"] = datetime.combine(referred_to, time.max, UTC)

    def search(self, text: str) -> None:
        """Leave the referrals where the text occurs, whatever its case, in a name they show."""
        search = search_for(text, names=self.scope.names, values=self.values)
        if search is None:
            return
        self.values |= search.values
        if search.is_of_few_rows:
            # OFFSET 0 keeps PostgreSQL from walking the list for them after all.
            self.few_rows = f"""(
                SELECT id, referred_at, status, facility_branch_id, referred_by_id
                FROM medics_referral r WHERE {search.condition} OFFSET 0
            )"""
        else:
            self.conditions.append(search.condition)

    def totals(self, ordering: Ordering) -> tuple[dict[str, int], bool]:
        """Return the number of referrals, all and by status, and whether counting stopped early.

        For a list in ascending order of time, set `unsettled` too: it must be known before the
        rows are read.
        """
        needs_counting = self.conditions or self.few_rows
        sql = self._counting_sql() if needs_counting else self._summing_sql()
        goes_up_in_time = ordering == Ordering("time", descending=False)
        unsettled = f"({UNSETTLED})" if goes_up_in_time else "NULL"
        counts: Counter[str] = Counter()
        is_capped = False
        rows = rows_of(
            f"SELECT counted.*, {unsettled} FROM ({sql}) AS counted",
            {**self.values, "most_counted": MOST_COUNTED},
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
        """Return one page; the arguments are those of `medics.pagination.FetchRows`."""
        is_down = ordering.descending is not backwards
        direction: Direction = "DESC" if is_down else "ASC"
        columns = SORTED_BY[ordering.name]
        beyond = []
        if position is not None:
            given = ", ".join(f"%({name}_given)s::{type_}" for name, type_ in columns.items())
            beyond = [f"({', '.join(columns)}) {'<' if is_down else '>'} ({given})"]
        page = (
            self._by_doctor_sql(direction, beyond)
            if ordering.name == "doctor"
            else self._by_time_sql(direction, beyond)
        )
        place = ", ".join(
            iso_time(f"page.{name}") if type_ == "timestamptz" else f"page.{name}::text"
            for name, type_ in columns.items()
        )
        sql = f"""
            SELECT ARRAY[{place}], {columns_of(self.scope.row_fields)}
            FROM (
                SELECT page.* FROM ({self.scope.keys}) AS scope CROSS JOIN LATERAL ({page}) AS page
                ORDER BY {in_order(columns, direction)} LIMIT %(limit)s OFFSET %(offset)s
            ) AS page
            JOIN medics_referral r ON r.id = page.id
            CROSS JOIN LATERAL ({TESTS}) AS tests
            ORDER BY {in_order([f"page.{name}" for name in columns], direction)}
        """
        values: dict[str, Any] = {"limit": limit, "offset": offset, "end": offset + limit}
        if position is not None:
            values |= zip((f"{name}_given" for name in columns), position, strict=True)
        return [
            Row(position=place, shown=answer_of(self.scope.row_fields, row))
            for place, *row in rows_of(sql, {**self.values, **values})
        ]

    @property
    def _source(self) -> str:
        return self.few_rows or "medics_referral"

    def _where(self, *more: str) -> str:
        status = ["r.status = %(status)s"] if self.status else []
        return " AND ".join(
            [f"r.{self.scope.column} = scope.key", *self.conditions, *status, *more]
        )

    def _by_time_sql(self, direction: Direction, beyond: list[str]) -> str:
        return f"""
            SELECT r.id, r.referred_at FROM {self._source} AS r WHERE {self._where(*beyond)}
            ORDER BY {in_order(SORTED_BY["time"], direction)} LIMIT %(end)s
        """

    def _by_doctor_sql(self, direction: Direction, beyond: list[str]) -> str:
        """Read doctor by doctor, so that the doctors behind the page are not read."""
        order = in_order(SORTED_BY["doctor"], direction)
        if self.few_rows:
            # The few rows are joined at once: doctor by doctor the search would run once for each.
            return f"""
                SELECT r.id, r.referred_at, doctor_name, doctor_id
                FROM {self._source} AS r JOIN (
                    SELECT id AS doctor_id, tetradx_fold(full_name) AS doctor_name
                    FROM authentication_user
                ) AS doctor ON r.referred_by_id = doctor_id
                WHERE {self._where(*beyond)}
                ORDER BY {order} LIMIT %(end)s
            """
        return f"""
            SELECT r.id, r.referred_at, doctor_name, doctor_id
            FROM (
                SELECT id AS doctor_id, tetradx_fold(full_name) AS doctor_name
                FROM authentication_user
                WHERE id = ANY (ARRAY({doctors_of_branch("scope.key")}))
                ORDER BY {in_order(["doctor_name", "id"], direction)}
            ) AS doctor
            CROSS JOIN LATERAL (
                SELECT r.id, r.referred_at FROM {self._source} AS r
                WHERE {self._where("r.referred_by_id = doctor_id", *beyond)}
                ORDER BY {in_order(["r.referred_at", "r.id"], direction)} LIMIT %(end)s
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
            SELECT status, count(*), number > %(most_counted)s
            FROM (
                SELECT r.status, row_number() OVER () AS number
                FROM ({self.scope.keys}) AS scope CROSS JOIN LATERAL (
                    SELECT r.status FROM {self._source} AS r WHERE {self._where()}
                    LIMIT %(most_counted)s + 1
                ) AS r
                LIMIT %(most_counted)s + 1
            ) AS counted
            GROUP BY 1, 3
        """
