from django.core.management.base import BaseCommand, CommandError

from authentication.models import User
from authentication.phone_numbers import phone_key
from authentication.second_factor import forget_device


class Command(BaseCommand):
    help = (
        "Forgets the authenticator app of an operator who has lost it. The next login to the admin "
        "site, by the password alone, sets up another."
    )

    def add_arguments(self, parser):
        parser.add_argument("phone_number", help="In any spelling.")

    def handle(self, *args, phone_number, **options):
        user = User.objects.filter(phone_key=phone_key(phone_number)).first()
        if user is None:
            raise CommandError("Nobody has this phone number.")
        if not forget_device(user=user):
            raise CommandError(f"{user} has no second factor.")
        self.stdout.write(f"{user} has no second factor any more: log in now, and set up another.")
