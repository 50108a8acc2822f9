import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from benchmarks.chart import draw
from benchmarks.run import growth, ratios, run, table
from benchmarks.servers import drop_database
from benchmarks.shapes import SHAPES, compare

RESULTS = settings.BASE_DIR / "benchmarks" / "results"
CHART = settings.BASE_DIR / "docs" / "performance.svg"

SIZES = "10000,100000,1000000"
QUICK_SIZE = "300000"
HALF = 0.5


def columns(rows: list[dict]) -> str:
    """Each under its key; numbers as whole ones."""
    lines = ["  ".join(rows[0])]
    for row in rows:
        cells = (
            f"{value:,.0f}" if isinstance(value, float) else str(value) for value in row.values()
        )
        lines.append("  ".join(cell.ljust(len(key)) for key, cell in zip(row, cells, strict=True)))
    return "\n".join(lines)


def sizes(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


class Command(BaseCommand):
    help = "Measures the service beside the floor, each size in a database that is kept."

    def add_arguments(self, parser):
        parser.add_argument(
            "--sizes",
            type=sizes,
            help=f"numbers of referrals (default: {SIZES}; {QUICK_SIZE} with --quick)",
        )
        parser.add_argument(
            "--quick",
            action="store_true",
            help="a few minutes; exit 1 where a list or one referral has less than half the floor",
        )
        parser.add_argument(
            "--fresh", action="store_true", help="fill the databases anew, as after a migration"
        )

        parser.add_argument(
            "--shapes",
            action="store_true",
            help="instead compare worker classes and numbers of workers and threads",
        )

    def handle(
        self, *, sizes: list[int] | None, quick: bool, fresh: bool, shapes: bool, **_options
    ):
        if settings.PRODUCTION:
            raise CommandError("Not in production.")
        if shutil.which("ab") is None:
            raise CommandError("This needs ab: install Debian's apache2-utils.")
        # WhiteNoise warns where there is no such folder.
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        sizes = sizes or [int(n) for n in (QUICK_SIZE if quick else SIZES).split(",")]
        for size in sizes if fresh else ():
            drop_database(size)

        if shapes:
            rows = compare(referrals=max(sizes), shapes=SHAPES, seconds=10)
            self.stdout.write(f"\n{columns(rows)}\n")
            self.stdout.write(f"Written to {self._write({'shapes': rows}, '-shapes')}")
            return

        results = run(sizes=sizes, quick=quick)
        for measured in results["runs"]:
            self.stdout.write(f"\n{table(measured)}\n")
        if len(sizes) > 1:
            self.stdout.write("\np50, largest database over smallest:\n")
            for route, factor in growth(results).items():
                self.stdout.write(f"{factor:6.2f}  {route}")
            CHART.write_text(draw(results))
            self.stdout.write(f"Drawn into {CHART}")
        self.stdout.write(f"Written to {self._write(results, '-quick' if quick else '')}")

        self.stdout.write("\nOf the floor's requests a second:\n")
        for route, ratio in ratios(results).items():
            self.stdout.write(f"{ratio:6.2f}  {route}")
        if quick and min(ratios(results).values()) < HALF:
            raise CommandError(f"One is under {HALF}.")

    def _write(self, results: dict, what: str) -> Path:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}{what}.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        return path
