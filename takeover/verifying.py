"""Whether our database holds what the predecessor's holds, but for what the report says.

Both sides count, and add up hashes of the kept columns, by the same SQL. Of a row that the report
has, the columns are left out that its rule sets; a row that was made is left out as a whole. Those
must be what the history says that the rule gave them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

from django.db import connection

from . import history
from .report import Line
from .rules import RULES, Rule
from .tables import TABLE, TABLES, Table


class Side(Protocol):
    """A database that is asked in one transaction."""

    def query(self, sql: str, parameters: Any = None) -> list[tuple]: ...

    def stream(self, sql: str, parameters: Any = None) -> Iterator[tuple]: ...


class Ours:
    def query(self, sql: str, parameters: Any = None) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def stream(self, sql: str, parameters: Any = None) -> Iterator[tuple]:
        with connection.connection.cursor("ours") as cursor:
            cursor.execute(sql, parameters)
            yield from cursor


class Comparison(NamedTuple):
    what: str
    predecessor: object
    ours: object
    reported: int | None  # how many rows of the report bear on it
    same: bool  # but for those


@dataclass
class Reported:
    """The ids that the report has, by table: of rows made, and of rows by the column set."""

    made: Mapping[str, list[str]]
    columns: Mapping[str, Mapping[str, list[str]]]


def reported(lines: Iterable[Line]) -> Reported:
    rules = {rule.name: rule for rule in RULES if isinstance(rule, Rule)}
    made: dict[str, list[str]] = defaultdict(list)
    columns: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        rule = rules[line.rule]
        if rule.makes:
            made[line.table].append(line.id)
        else:
            for column in rule.sets:
                columns[line.table][column].append(line.id)
    return Reported(made, columns)


def compare(predecessor: Side, ours: Side, report: Reported) -> Iterator[Comparison]:
    for table in TABLES:
        yield from compare_rows(predecessor, ours, report, table)
        yield from compare_with_history(ours, table)
    yield from compare_facilities(predecessor, ours, report)
    for name in ("Referral", "ReferralTest"):
        yield from compare_statuses(predecessor, ours, report, TABLE[name])


def compare_rows(
    predecessor: Side, ours: Side, report: Reported, table: Table
) -> Iterator[Comparison]:
    sums = [
        side.query(f"SELECT count(*), coalesce(sum(hash), 0) FROM ({rows}) hashed", parameters)[0]
        for side, rows, parameters in sides(predecessor, ours, report, table)
    ]
    made = len(report.made[table.name])
    (before, before_sum), (after, after_sum) = sums
    yield Comparison(f"{table.name}", before, after + made, made or None, before == after)
    masked = {row for rows in report.columns[table.name].values() for row in rows}
    yield Comparison(
        f"{table.name}: checksum",
        f"{int(before_sum):x}"[-12:],
        f"{int(after_sum):x}"[-12:],
        len(masked) or None,
        before_sum == after_sum,
    )


def sides(
    predecessor: Side, ours: Side, report: Reported, table: Table
) -> Iterator[tuple[Side, str, dict[str, list[str]]]]:
    """Each side with the SQL that gives id and hash of each row, and its parameters."""
    columns = report.columns[table.name]
    parameters = {"made": report.made[table.name], **columns}
    values = ", ".join(
        f"CASE WHEN id::text IN (SELECT unnest(%({column.name})s::text[])) THEN NULL"
        f" ELSE {value_of(column)} END"
        if column.name in columns
        else value_of(column)
        for column in table.kept
    )
    digest = f"md5(convert_to(ROW({values})::text, 'UTF8'))"
    rows = f"SELECT id::text AS id, ('x' || left({digest}, 15))::bit(60)::bigint AS hash"
    yield predecessor, f'{rows} FROM "{table.name}"', parameters
    not_made = "id::text NOT IN (SELECT unnest(%(made)s::text[]))"
    yield ours, f"{rows} FROM {table.target} WHERE {not_made}", parameters


def compare_with_history(ours: Side, table: Table) -> Iterator[Comparison]:
    [(told, kept)] = ours.query(
        f"""
        SELECT count(*), count(*) FILTER (WHERE to_jsonb(row) -> mended.name = mended.value)
        FROM (
            SELECT DISTINCT ON (row_id, name) row_id, name, value
            FROM medics_change, jsonb_each(new) AS told (name, value)
            WHERE row_table = %s AND request_id = %s AND name <> 'rule'
            ORDER BY row_id, name, id DESC
        ) mended LEFT JOIN {table.target} row ON row.id::text = mended.row_id
        """,
        [table.target, history.COMMAND],
    )
    if told:
        yield Comparison(f"{table.name}: mended values", told, kept, None, told == kept)


def value_of(column: Any) -> str:
    return f"coalesce({column.name}, '')" if column.blank else column.name


def compare_facilities(predecessor: Side, ours: Side, report: Reported) -> Iterator[Comparison]:
    before = dict(
        predecessor.query(
            """
            SELECT facility.id, count(*) FROM "Referral" referral
            LEFT JOIN "Facility_Branch" branch ON branch.id = facility_branch_id
            LEFT JOIN "Facility" facility ON facility.id = facility_id GROUP BY 1
            """
        )
    )
    after = dict(
        ours.query(
            """
            SELECT facility_id, count(*) FROM medics_referral referral
            JOIN medics_facilitybranch branch ON branch.id = facility_branch_id GROUP BY 1
            """
        )
    )
    # What had no facility is at the one that was made.
    orphans = before.pop(None, 0)
    for facility in report.made["Facility"]:
        before[int(facility)] = orphans
    for facility in sorted({*before, *after}):
        counts = before.get(facility, 0), after.get(facility, 0)
        yield Comparison(f"Referral: facility {facility}", *counts, None, counts[0] == counts[1])


def compare_statuses(
    predecessor: Side, ours: Side, report: Reported, table: Table
) -> Iterator[Comparison]:
    before, after = (
        {
            status: (number, unreported)
            for status, number, unreported in side.query(
                f"""
                SELECT status, count(*),
                    count(*) FILTER (WHERE id::text NOT IN (SELECT unnest(%s::text[])))
                FROM {name} GROUP BY 1
                """,
                [report.columns[table.name].get("status", [])],
            )
        }
        for side, name in ((predecessor, f'"{table.name}"'), (ours, table.target))
    )
    for status in sorted({*before, *after}):
        (number, unreported), (our_number, our_unreported) = (
            side.get(status, (0, 0)) for side in (before, after)
        )
        yield Comparison(
            f"{table.name}: {status}",
            number,
            our_number,
            max(number - unreported, our_number - our_unreported) or None,
            unreported == our_unreported,
        )


def differing_rows(
    predecessor: Side, ours: Side, report: Reported, table: Table, *, limit: int
) -> list[str]:
    """Which rows make a checksum differ, by their ids, at most `limit` of them."""
    before, after = (
        side.stream(f'SELECT id, hash FROM ({rows}) hashed ORDER BY id COLLATE "C"', parameters)
        for side, rows, parameters in sides(predecessor, ours, report, table)
    )
    return list(islice(differences(table.name, before, after), limit))


def differences(table: str, before: Iterator[tuple], after: Iterator[tuple]) -> Iterator[str]:
    end = None, None
    (theirs, their_hash), (our, our_hash) = next(before, end), next(after, end)
    while theirs is not None or our is not None:
        if our is None or (theirs is not None and theirs < our):
            yield f"{table} {theirs}: missing here"
            theirs, their_hash = next(before, end)
        elif theirs is None or our < theirs:
            yield f"{table} {our}: not in the predecessor"
            our, our_hash = next(after, end)
        else:
            if their_hash != our_hash:
                yield f"{table} {our}: not the same"
            (theirs, their_hash), (our, our_hash) = next(before, end), next(after, end)
