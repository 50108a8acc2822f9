from datetime import UTC, datetime
from time import perf_counter

from django.core.management.base import BaseCommand, CommandError

from demo.loading import NotEmptyError, load

SEED = 20_250_306


def moment(text: str) -> datetime:
    """From ISO 8601, in UTC where the text names no offset."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Fills an empty database with a network of invented laboratories and their referrals."

    def add_arguments(self, parser):
        parser.add_argument(
            "--referrals", type=int, default=600, help="how many (default: %(default)s)"
        )
        parser.add_argument(
            "--seed",
            type=int,
            default=SEED,
            help="the same seed gives the same rows (default: %(default)s)",
        )
        parser.add_argument(
            "--until",
            type=moment,
            help="the moment, in ISO 8601, that the network has reached (default: this hour)",
        )
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help="leave a database that already holds data as it is, without an error",
        )

    def handle(self, *, referrals, seed, until, if_empty, verbosity, **_options):
        if referrals < 0:
            raise CommandError("--referrals cannot be negative.")
        until = until or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

        started = perf_counter()
        try:
            loaded = load(seed=seed, referrals=referrals, until=until, progress=verbosity > 0)
        except NotEmptyError as error:
            if not if_empty:
                raise CommandError(f"{error} The demo network needs an empty one.") from None
            self.stdout.write(f"{error} No demo data loaded.")
            return
        if verbosity > 1:
            for table, rows in loaded.items():
                self.stdout.write(f"{rows:>9,} {table}")
        if verbosity > 0:
            seconds = perf_counter() - started
            self.stdout.write(
                f"Loaded {loaded.total():,} rows in {seconds:.1f} s"
                f" ({loaded.total() / seconds:,.0f} rows a second)."
            )
