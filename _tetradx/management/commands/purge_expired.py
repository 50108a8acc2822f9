from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from authentication.models import Attempt, KnownAddress, Session
from medics.models import ReferralRequest

KNOWN_ADDRESS_LIFETIME = timedelta(days=90)


class Command(BaseCommand):
    help = (
        "Deletes what has expired: sessions, counts of attempts, addresses from which nobody logged"
        " in for long, and the answers kept for repeated requests. To be run every day; nothing"
        " depends on when."
    )

    def handle(self, **_options):
        now = timezone.now()
        for expired in (
            Session.objects.past(),
            Attempt.objects.filter(expires_at__lt=now),
            KnownAddress.objects.filter(seen_at__lt=now - KNOWN_ADDRESS_LIFETIME),
            ReferralRequest.objects.filter(expires_at__lt=now),
        ):
            number, _ = expired.delete()
            self.stdout.write(f"{number} {expired.model._meta.verbose_name_plural}")
