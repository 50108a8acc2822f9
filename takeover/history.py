"""What the rules did, in the history of each row."""

from collections.abc import Iterable
from typing import Any

from .tables import TABLES, Table

# Which made the entries.
COMMAND = "manage.py import_predecessor"

# What a row belongs to, as the history's triggers have it; other rows belong to themselves.
BELONGS_TO = {
    "Facility_Branch": ("medics_facility", "facility_id"),
    "Branch_Technician": ("authentication_user", "user_id"),
    "ReferralTest": ("medics_referral", "referral_id"),
}


def told(table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns whose values the history holds: no hash of a password."""
    kept = {column.name for column in table.kept} - {"password"}
    return tuple(name for name in columns if name in kept)


def write(cursor: Any) -> None:
    """One entry for each line of the report that made a row or changed one."""
    for table in TABLES:
        subject_table, subject_id = BELONGS_TO.get(table.name, (table.target, "id"))
        cursor.execute(
            f"""
            INSERT INTO medics_change (changed_at, request_id, action, row_table, row_id,
                subject_table, subject_id, old, new)
            SELECT now(), '{COMMAND}',
                CASE WHEN old IS NULL THEN 'created' ELSE 'changed' END,
                '{table.target}', report.id, '{subject_table}', row.{subject_id}::text, old,
                coalesce(new, '{{}}') || jsonb_build_object('rule', rule)
            FROM predecessor_report report
            JOIN {table.staging} row ON row.id::text = report.id
            WHERE table_name = '{table.name}' AND coalesce(old, new) IS NOT NULL
            ORDER BY number
            """
        )
