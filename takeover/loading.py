"""The import: one transaction, from a snapshot of the predecessor to our tables.

Rows come by COPY into temporary tables, the rules mend them there, and each table of ours is then
filled by one statement. What triggers keep for each row is computed for all at once meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol, TextIO

from django.contrib.auth.hashers import get_hashers
from django.core.management.color import no_style
from django.db import connection, transaction

from authentication.phone_numbers import WELL_FORMED, clean_phone_number, phone_key

from . import history, report
from .rules import OPTIONS, RULES, Prepare, Rule
from .source import Source
from .tables import TABLE, TABLES, Table

KEY = "hashtextextended('import_predecessor', 0)"

# The others keep what is computed here for all rows at once, or record what is recorded by rule.
TRIGGERS_LEFT_ON = ("one_facility_per_person", "record_catalogue_change")

# What a table of ours has beside the kept columns: the column, and where it comes from.
BESIDE = {
    "User": {"phone_key": "row.phone_key", "must_change_password": "false"},
    "Patient": {"contact_key": "coalesce(number.key, '')"},
    "Referral": {
        "patient_name_or_id": "patient.full_name_or_id",
        "patient_name_folded": "tetradx_fold(patient.full_name_or_id)",
        "test_ids": "coalesce(tests.ids, '{}')",
    },
}
JOINED = {
    "Patient": "LEFT JOIN predecessor_number number ON number.written = row.contact_number",
    "Referral": """
        JOIN predecessor_patient patient ON patient.id = row.patient_id
        LEFT JOIN (
            SELECT referral_id, array_agg(test_id ORDER BY test_id) AS ids
            FROM predecessor_referraltest GROUP BY 1
        ) tests ON tests.referral_id = row.id
    """,
}

COUNTS = """
    INSERT INTO medics_referralcount (branch_id, status, number)
        SELECT facility_branch_id, status, count(*) FROM medics_referral GROUP BY 1, 2;
    INSERT INTO medics_referralcount (practitioner_id, status, number)
        SELECT referred_by_id, status, count(*) FROM medics_referral GROUP BY 1, 2;
"""

ELSEWHERE = """
    SELECT count(*) FROM medics_referraltest within
    JOIN medics_referral referral ON referral.id = within.referral_id
    JOIN medics_facilitybranch branch ON branch.id = referral.facility_branch_id
    JOIN medics_test test ON test.id = within.test_id
    JOIN medics_testtype test_type ON test_type.id = test.test_type_id
    WHERE test_type.facility_id <> branch.facility_id
"""


# Of a rehearsal: how long filling takes, for each second of reading and mending.
FILLING_PER_SECOND_BEFORE = 2.8


class ImportRefusedError(Exception):
    """Nothing was changed; says why."""


class Progress(Protocol):
    """Is told how far it is."""

    def start(self, rows: int) -> None:
        """So many rows will be read, and about as many written."""

    def enter(self, what: str) -> None: ...

    def advance(self, rows: int) -> None: ...


@dataclass
class Outcome:
    rows: Counter[str]  # of the predecessor, by its table
    found: Counter[str] = field(default_factory=Counter)  # by the name of the rule
    # Those that found rows which only the operator, or the predecessor, can decide on.
    open_rules: list[Rule] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # by phase

    @property
    def seconds_to_import(self) -> float:
        """How long it took, or would take where nothing was filled."""
        before = self.seconds["reading"] + self.seconds["mending"]
        return before + self.seconds.get("filling", before * FILLING_PER_SECOND_BEFORE)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.seconds[name] = perf_counter() - start


def check(
    source: Source, *, decisions: Mapping[str, str], file: TextIO | None, progress: Progress
) -> Outcome:
    """What an import would do, from temporary tables that are gone afterwards.

    `file` gets the report. Raises ImportRefusedError where the target holds rows.
    """
    with transaction.atomic():
        cursor = database()
        require_empty(cursor)
        outcome = read_and_mend(source, cursor, decisions, progress)
        if file:
            report.write(cursor, file)
        transaction.set_rollback(True)
    return outcome


def import_from(
    source: Source, *, decisions: Mapping[str, str], file: TextIO, progress: Progress
) -> Outcome:
    """All or nothing; `file` gets the report before anything is kept.

    Raises ImportRefusedError where the target holds rows, or something is to be decided.
    """
    with transaction.atomic():
        cursor = database()
        # Nobody adds a row before this has ended.
        targets = ", ".join(table.target for table in TABLES)
        cursor.execute(f"LOCK TABLE {targets} IN SHARE ROW EXCLUSIVE MODE")
        require_empty(cursor)
        outcome = read_and_mend(source, cursor, decisions, progress)
        if outcome.open_rules:
            names = ", ".join(rule.name for rule in outcome.open_rules)
            raise ImportRefusedError(f"Not decided: {names}. --check says more.")
        with outcome.phase("filling"):
            fill(cursor, progress)
        report.write(cursor, file)
    return outcome


def read_and_mend(
    source: Source, cursor: Any, decisions: Mapping[str, str], progress: Progress
) -> Outcome:
    outcome = Outcome(source.counts())
    progress.start(outcome.rows.total())
    with outcome.phase("reading"):
        read(source, cursor, progress)
    with outcome.phase("mending"):
        outcome.open_rules = mend(cursor, decisions, progress)
    outcome.found = report.summary(cursor)
    return outcome


def database() -> Any:
    """A cursor of the target, in its transaction, for statements of any length."""
    cursor = connection.cursor()
    for setting, value in (
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        # Nobody but autovacuum should hold a table, and that gives way.
        ("lock_timeout", "60s"),
        ("work_mem", "64MB"),
        ("maintenance_work_mem", "256MB"),
        # Whoever is killed is missed at once, and not when a long statement ends.
        ("client_connection_check_interval", "1s"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, YMD"),
    ):
        cursor.execute(f"SET LOCAL {setting} = '{value}'")
    return cursor


def require_empty(cursor: Any) -> None:
    """Raises ImportRefusedError where the target holds rows, or another import is at work."""
    cursor.execute(f"SELECT pg_try_advisory_xact_lock({KEY})")
    if cursor.fetchone() == (False,):
        raise ImportRefusedError("Another import is at work on this database.")
    held = [
        str(table.model._meta.verbose_name_plural)
        for table in TABLES
        if table.model._default_manager.exists()
    ]
    if held:
        raise ImportRefusedError(
            f"The database already holds {', '.join(held)}; the import needs an empty one."
        )


def read(source: Source, cursor: Any, progress: Progress) -> None:
    """Copies the predecessor's tables into temporary ones, and derives what Python derives."""
    for table in TABLES:
        progress.enter(f"reading {table.name}")
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        derived = f", {table.derived}" if table.derived else ""
        cursor.execute(
            f"CREATE TEMPORARY TABLE {table.staging}"
            f" ({columns}{derived}, made boolean NOT NULL DEFAULT false) ON COMMIT DROP"
        )
        source.copy(table, cursor, lambda: progress.advance(1))
        cursor.execute(f"ANALYZE {table.staging}")
    progress.enter("reading phone numbers")
    derive_phone_numbers(cursor)


def derive_phone_numbers(cursor: Any) -> None:
    cursor.execute(
        "CREATE TEMPORARY TABLE predecessor_number"
        " (written text, cleaned text, key text, is_number boolean) ON COMMIT DROP"
    )
    with connection.connection.cursor("numbers") as numbers:
        numbers.execute(
            "SELECT phone_number FROM predecessor_user WHERE phone_number IS NOT NULL"
            " UNION SELECT contact_number FROM predecessor_patient WHERE contact_number <> ''"
        )
        while written := [number for (number,) in numbers.fetchmany(10_000)]:
            cleaned = [clean_phone_number(number) for number in written]
            cursor.execute(
                "INSERT INTO predecessor_number"
                " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::boolean[])",
                [
                    written,
                    cleaned,
                    [phone_key(number) for number in written],
                    [bool(WELL_FORMED.fullmatch(number)) for number in cleaned],
                ],
            )
    cursor.execute("ANALYZE predecessor_number")
    cursor.execute(
        "UPDATE predecessor_user SET cleaned = number.cleaned, phone_key = number.key,"
        " is_number = number.is_number FROM predecessor_number number"
        " WHERE number.written = phone_number"
    )


def mend(cursor: Any, decisions: Mapping[str, str], progress: Progress) -> list[Rule]:
    """Applies the rules in their order; gives those that keep the import from being made."""
    cursor.execute(report.MAKE)
    parameters: dict[str, Any] = {option.name: option.choices[0] for option in OPTIONS}
    parameters |= decisions
    parameters["hashers"] = [hasher.algorithm for hasher in get_hashers()]
    open_rules = []
    for rule in RULES:
        if isinstance(rule, Prepare):
            progress.enter(f"preparing {rule.table}")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {rule.table} ON COMMIT DROP AS {rule.select}", parameters
            )
            cursor.execute(f"ANALYZE {rule.table}")
            continue
        progress.enter(rule.name)
        parameters["round"] = 1
        found = apply(cursor, rule, TABLE[rule.table], parameters)
        while rule.repeats and apply(
            cursor, rule, TABLE[rule.table], {**parameters, "round": parameters["round"] + 1}
        ):
            parameters["round"] += 1
        if found and (rule.stops or (rule.option and rule.option not in decisions)):
            open_rules.append(rule)
    return open_rules


def apply(cursor: Any, rule: Rule, table: Table, parameters: Mapping[str, Any]) -> int:
    """How many rows the rule found."""
    columns, changed, old, new = ", ".join(rule.sets), "", "NULL", "NULL"
    if rule.makes:
        changed = (
            f", changed AS (INSERT INTO {table.staging} (id, made, {columns})"
            f" SELECT id, true, {columns} FROM found)"
        )
        new = as_json(table, "found", history.told(table, rule.sets))
    elif rule.sets:
        sets = ", ".join(f"{name} = found.{name}" for name in rule.sets)
        changed = (
            f", changed AS (UPDATE {table.staging} row SET {sets} FROM found"
            " WHERE row.id = found.id)"
        )
        new = as_json(table, "found", history.told(table, rule.sets))
    if not rule.makes and (told := rule.forgets or history.told(table, rule.sets)):
        old = as_json(table, "row", told)
    cursor.execute(
        f"""
        WITH found AS MATERIALIZED ({rule.found}) {changed}
        INSERT INTO predecessor_report (table_name, id, rule, wrong, done, old, new)
        SELECT '{rule.table}', id, '{rule.name}', wrong, done, {old}, {new}
        FROM found LEFT JOIN {table.staging} row USING (id) ORDER BY id
        """,
        parameters,
    )
    return cursor.rowcount


def as_json(table: Table, source: str, columns: Iterable[str]) -> str:
    blank = {column.name for column in table.columns if column.blank}
    values = ", ".join(
        f"'{name}', " + (f"coalesce({source}.{name}, '')" if name in blank else f"{source}.{name}")
        for name in columns
    )
    return f"jsonb_build_object({values})"


def fill(cursor: Any, progress: Progress) -> None:
    """Fills our tables from the mended ones. Raises ImportRefusedError."""
    # Each statement is checked at its end, and not all at the commit.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with triggers_off(cursor):
        for table in TABLES:
            progress.enter(f"writing {table.name}")
            cursor.execute(fill_statement(table))
            progress.advance(cursor.rowcount)
        progress.enter("counting referrals")
        cursor.execute(COUNTS)
    progress.enter("recording what was mended")
    history.write(cursor)
    progress.enter("checking")
    cursor.execute(ELSEWHERE)
    if cursor.fetchone() != (0,):
        raise ImportRefusedError("A referral would hold a test of another facility.")
    for statement in connection.ops.sequence_reset_sql(
        no_style(), [table.model for table in TABLES]
    ):
        cursor.execute(statement)
    progress.enter("analyzing")
    targets = ", ".join((*(table.target for table in TABLES), "medics_referralcount"))
    cursor.execute(f"ANALYZE {targets}")


def fill_statement(table: Table) -> str:
    values = {
        column.name: f"coalesce(row.{column.name}, '')" if column.blank else f"row.{column.name}"
        for column in table.kept
    } | BESIDE.get(table.name, {})
    return (
        f"INSERT INTO {table.target} ({', '.join(values)}) SELECT {', '.join(values.values())}"
        f" FROM {table.staging} row {JOINED.get(table.name, '')}"
    )


@contextmanager
def triggers_off(cursor: Any) -> Iterator[None]:
    """Foreign keys and constraints go on; what is kept or recorded for each row waits."""
    cursor.execute(
        "SELECT tgrelid::regclass, tgname FROM pg_trigger"
        " WHERE NOT tgisinternal AND tgenabled = 'O' AND tgrelid::regclass::text = ANY (%s)"
        " AND tgname <> ALL (%s)",
        [[table.target for table in TABLES], list(TRIGGERS_LEFT_ON)],
    )
    triggers = cursor.fetchall()
    for table, name in triggers:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {connection.ops.quote_name(name)}")
    yield
    for table, name in triggers:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {connection.ops.quote_name(name)}")
