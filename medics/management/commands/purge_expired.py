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
        for model in (Session, Try, ReferralRequest):
            number, _ = model.objects.filter(expires_at__lt=timezone.now()).delete()
            self.stdout.write(f"{number} {model._meta.verbose_name_plural}")
