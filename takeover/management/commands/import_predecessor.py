from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from tqdm import tqdm

from _tetradx.tables import in_columns

from ... import report
from ...loading import ImportRefusedError, Outcome, check, import_from
from ...rules import OPTIONS, RULES, Rule
from ...source import Source, SourceError, snapshot

REPORT = Path("takeover-report.csv")


class Bar:
    """The progress on the terminal; where standard error is none, nothing."""

    def __init__(self, *, shown: bool):
        self.bar = tqdm(unit=" rows", unit_scale=True, disable=None if shown else True)

    def start(self, rows: int) -> None:
        self.bar.total = 2 * rows

    def enter(self, what: str) -> None:
        self.bar.set_description(what)

    def advance(self, rows: int) -> None:
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
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; say what would be done, and fail where something is undecided.",
        )
        parser.add_argument(
            "--report",
            type=Path,
            help=f"The new file that lists each row which is not as it was ({REPORT}; --check "
            "writes none unless it is named).",
        )
        for option in OPTIONS:
            parser.add_argument(option.flag, choices=option.choices, help=option.says)

    def handle(self, *, url, check, report, verbosity, **options):
        decisions = {
            option.name: options[option.name] for option in OPTIONS if options[option.name]
        }
        with said_plainly(), snapshot(url or settings.PREDECESSOR_DATABASE_URL) as source:
            bar = Bar(shown=verbosity > 0)
            if check:
                self.check_only(source, decisions, report, bar)
            else:
                self.import_all(source, decisions, report or REPORT, bar)

    def check_only(self, source: Source, decisions: dict, path: Path | None, bar: Bar) -> None:
        if path:
            with report.new_report(path) as file:
                outcome = check(source, decisions=decisions, file=file, progress=bar)
        else:
            outcome = check(source, decisions=decisions, file=None, progress=bar)
        bar.bar.close()
        self.show(outcome)
        self.stdout.write(
            f"The import would take about {outcome.seconds_to_import:.0f} s on this machine."
        )
        if outcome.open_rules:
            raise CommandError(explained(outcome))

    def import_all(self, source: Source, decisions: dict, path: Path, bar: Bar) -> None:
        with report.new_report(path) as file:
            outcome = import_from(source, decisions=decisions, file=file, progress=bar)
        bar.bar.close()
        self.show(outcome)
        self.stdout.write(f"{path} lists these rows, with what stood in them: keep it closed.")

    def show(self, outcome: Outcome) -> None:
        found = [
            (rule.name, rule.table, outcome.found[rule.name])
            for rule in RULES
            if isinstance(rule, Rule) and outcome.found[rule.name]
        ]
        self.stdout.write(in_columns(("table", "rows"), outcome.rows.items()))
        self.stdout.write("")
        self.stdout.write(in_columns(("rule", "table", "rows"), found))
        self.stdout.write("")
        for phase, seconds in outcome.seconds.items():
            self.stdout.write(f"{phase}: {seconds:.1f} s")


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
        cause: Any = error.__cause__
        raise CommandError(
            f"Nothing was imported: {getattr(cause, 'diag', None) and cause.diag.message_primary}"
        ) from None
