import getpass
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ...models import Referral
from ...services.retention import Removed, expired_patients, remove_expired


class Command(BaseCommand):
    help = (
        "Removes the patients whose every referral was completed or cancelled more than so many "
        "days ago, with their referrals, tests and history. Without --delete it says how many "
        "there are."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--days",
            type=int,
            required=True,
            help="since the last referral was completed or cancelled",
        )
        parser.add_argument("--delete", action="store_true", help="do it; nothing brings them back")
        parser.add_argument(
            "--batch-size",
            type=int,
            default=200,
            help="patients in one transaction (default: %(default)s)",
        )

    def handle(self, *, days, delete, batch_size, **_options):
        if days < 1 or batch_size < 1:
            raise CommandError("--days and --batch-size must be 1 or more.")
        completed_before = timezone.now() - timedelta(days=days)
        if not delete:
            expired = expired_patients(completed_before)
            referrals = Referral.objects.filter(patient__in=expired)
            self.stdout.write(
                f"{expired.count()} patients with {referrals.count()} referrals would be removed. "
                "Run it with --delete to do so."
            )
            return
        total = Removed(0, 0)
        try:
            for removed in remove_expired(
                completed_before=completed_before, batch_size=batch_size, run_by=getpass.getuser()
            ):
                total = Removed(*map(sum, zip(total, removed, strict=True)))
        except PermissionError as error:
            raise CommandError(str(error)) from None
        finally:
            self.stdout.write(
                f"{total.patients} patients with {total.referrals} referrals were removed."
            )
