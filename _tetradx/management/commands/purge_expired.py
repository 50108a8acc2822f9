from django.apps import apps
from django.core.management.base import BaseCommand

from _tetradx.db.expiry import ExpiringQuerySet


class Command(BaseCommand):
    help = (
        "Deletes what has expired: sessions, counts of attempts, addresses from which nobody logged"
        " in for long, and the answers kept for repeated requests. To be run every day; nothing"
        " depends on when."
    )

    def handle(self, **_options):
        for model in apps.get_models():
            rows = model._default_manager.all()
            if isinstance(rows, ExpiringQuerySet):
                number, _ = rows.expired().delete()
                self.stdout.write(f"{number} {model._meta.verbose_name_plural}")
