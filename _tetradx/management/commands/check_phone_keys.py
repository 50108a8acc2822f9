from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from _tetradx.db.stale_keys import derived_columns, keys_in_common, mend, stale_keys


class Command(BaseCommand):
    help = (
        "Finds the rows whose phone number and key, by which it is found in every spelling, do not "
        "belong together: after a change past the service, of PHONE_DEFAULT_REGION, or of the "
        "library that reads numbers. Fails while there are any. Rows are named by their ids."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--mend", action="store_true", help="derive them anew, unless two users would be one"
        )

    def handle(self, *, mend, **_options):
        left = sum(self.look_at(field, mends=mend) for field in derived_columns())
        if left:
            advice = "Give one of each two another number." if mend else "--mend derives them anew."
            raise CommandError(f"Stale keys: {left}. {advice}")
        self.stdout.write("Every key belongs to its number.")

    def look_at(self, field, *, mends: bool) -> int:
        """Prints stale keys, mends them where told to, and returns the number that are left."""
        rows = field.model._meta.verbose_name_plural
        for keys in keys_in_common(field):
            ids = ", ".join(str(key.pk) for key in keys)
            self.stdout.write(f"{rows} with one number, who would be one: {ids}")
        if mends:
            try:
                self.stdout.write(f"{rows}: mended {mend(field)}")
            except IntegrityError:
                raise CommandError(
                    f"A key of these {rows} was taken meanwhile, or is that of one that is left; "
                    "nothing was mended."
                ) from None
        left = 0
        for key in stale_keys(field):
            left += 1
            self.stdout.write(f"{field.model._meta.verbose_name} {key.pk} has a stale key")
        return left
