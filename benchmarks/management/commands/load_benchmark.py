from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from benchmarks.loading import load, vacuum
from demo.loading import NotEmptyError


class Command(BaseCommand):
    help = "Fills an empty database with the referrals that the benchmark measures."

    def add_arguments(self, parser):
        parser.add_argument("--referrals", type=int, required=True, help="how many")

    def handle(self, *, referrals, verbosity, **_options):
        if settings.PRODUCTION:
            raise CommandError("Not in production.")
        if referrals < 1:
            raise CommandError("--referrals must be 1 or more.")
        try:
            load(referrals, progress=verbosity > 0)
        except NotEmptyError as error:
            raise CommandError(f"{error} The benchmark needs an empty one.") from None
        vacuum()
