from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction
from tqdm import tqdm

from _tetradx.text_table import in_columns

from ... import report
from ...loading import ImportRefusedError, Outcome, check, database, import_from
from ...rules import OPTIONS, RULES, Rule
from ...source import Source, SourceError, explanation, snapshot
from ...tables import TABLES
from ...verifying import Ours, compare, differing_rows, reported

REPORT = Path("takeover-report.csv")
DIFFERENCES_SHOWN = 10


class Bar:
    def __init__(self, bar: tqdm):
        self.bar = bar

    def start(self, rows: int) -> None:
        self.bar.total = 2 * rows

    def enter(self, what: str) -> None:
        self.bar.set_description(what)

    def advance(self, rows: int) -> None:
        # Some rows are made on the way; beyond its total it would be no bar any more.
        self.bar.total = max(self.bar.total, self.bar.n + rows)
        self.bar.update(rows)


class Command(BaseCommand):
    help = (
        "Imports the predecessor's database into this empty one, in one transaction. Its URL is "
        "read from PREDECESSOR_DATABASE_URL. docs/takeover.md says how to go about it."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--from",
            dest="url",
            metavar="URL",
            help="The URL, in place of the variable; whoever lists processes can read it.",
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; say what would be done, and fail where something is undecided.",
        )
        instead.add_argument(
            "--verify",
            action="store_true",
            help="After an import: compare both sides, and fail where they differ in what its "
            "report does not explain.",
        )
        parser.add_argument(
            "--report",
            type=Path,
            help=f"The new file that lists each row which is not as it was ({REPORT}; --check "
            "writes none unless it is named).",
        )
        for option in OPTIONS:
            parser.add_argument(option.flag, choices=option.choices, help=option.says)

    def handle(self, *, url, check, verify, report, verbosity, **options):
        decisions = {
            option.name: options[option.name] for option in OPTIONS if options[option.name]
        }
        with said_plainly(), snapshot(url or settings.PREDECESSOR_DATABASE_URL) as source:
            if verify:
                self.verify(source, report or REPORT)
            elif check:
                self.check_only(source, decisions, report, shown=verbosity > 0)
            else:
                self.import_all(source, decisions, report or REPORT, shown=verbosity > 0)

    def check_only(
        self, source: Source, decisions: dict, path: Path | None, *, shown: bool
    ) -> None:
        with report.new_report(path) if path else nullcontext() as file, progress(shown) as bar:
            outcome = check(source, decisions=decisions, file=file, progress=bar)
        self.show(outcome)
        self.stdout.write(
            f"The import would take about {outcome.seconds_to_import:.0f} s on this machine."
        )
        if outcome.open_rules:
            raise CommandError(explained(outcome))

    def import_all(self, source: Source, decisions: dict, path: Path, *, shown: bool) -> None:
        with report.new_report(path) as file, progress(shown) as bar:
            outcome = import_from(source, decisions=decisions, file=file, progress=bar)
        self.show(outcome)
        self.stdout.write(f"{path} lists these rows, with what stood in them: keep it closed.")

    @transaction.atomic
    def verify(self, source: Source, path: Path) -> None:
        database()
        ours, known = Ours(), reported(report.read(path))
        compared = list(compare(source, ours, known))
        self.stdout.write(
            in_columns(
                ("", "predecessor", "ours", "in the report", ""),
                [(*line[:4], "" if line.same else "DIFFERENT") for line in compared],
            )
        )
        different = [line for line in compared if not line.same]
        if not different:
            self.stdout.write("The same, but for what the report says.")
            return
        for table in TABLES:
            if any(line.what.startswith(f"{table.name}: checksum") for line in different):
                for row in differing_rows(source, ours, known, table, limit=DIFFERENCES_SHOWN):
                    self.stdout.write(row)
        raise CommandError(f"{len(different)} differences that the report does not explain.")

    def show(self, outcome: Outcome) -> None:
        found = [
            (rule.name, rule.table, outcome.found[rule.name], rule.does)
            for rule in RULES
            if isinstance(rule, Rule) and outcome.found[rule.name]
        ]
        self.stdout.write(in_columns(("table", "rows"), outcome.rows.items()))
        self.stdout.write("")
        self.stdout.write(in_columns(("rule", "table", "rows", "what is done"), found))
        self.stdout.write("")
        for phase, seconds in outcome.seconds.items():
            self.stdout.write(f"{phase}: {seconds:.1f} s")


@contextmanager
def progress(shown: bool) -> Iterator[Bar]:
    """On the terminal; where standard error is none, nothing."""
    with tqdm(unit=" rows", unit_scale=True, disable=None if shown else True) as bar:
        yield Bar(bar)


def explained(outcome: Outcome) -> str:
    """What keeps the import from being made, and what decides it."""
    options = {option.name: option for option in OPTIONS}
    lines = []
    for rule in outcome.open_rules:
        number = f"{rule.name}: {outcome.found[rule.name]:,}."
        if rule.stops:
            lines.append(f"{number} To be mended in the predecessor; --report lists them.")
        else:
            option = options[rule.option]
            lines.append(f"{number} {option.says} {option.flag} {'|'.join(option.choices)}")
    return "\n".join(("To be decided before an import:", *lines))


@contextmanager
def said_plainly() -> Iterator[None]:
    """Nothing that PostgreSQL quotes of a row reaches the terminal or a log."""
    try:
        yield
    except (ImportRefusedError, SourceError, report.ReportError) as error:
        raise CommandError(str(error)) from None
    except DatabaseError as error:
        raise CommandError(
            f"Nothing was changed: {explanation(error.__cause__ or error)}"
        ) from None
