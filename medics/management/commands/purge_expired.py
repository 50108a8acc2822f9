from django.core.management.base import BaseCommand
from django.utils import timezone

from authentication.models import Session, Try
from medics.models import ReferralRequest


class Command(BaseCommand):
    help = (
        "Deletes what has expired: sessions, counts of tries, and the answers kept for repeated"
        " requests. To be run every day; nothing depends on when."
    )

    def handle(self, **_options):
        now = timezone.now()
        for expired in (
            Session.objects.past(),
            Try.objects.filter(expires_at__lt=now),
            ReferralRequest.objects.filter(expires_at__lt=now),
        ):
            number, _ = expired.delete()
            self.stdout.write(f"{number} {expired.model._meta.verbose_name_plural}")
