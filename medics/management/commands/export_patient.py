import getpass
import json
import os

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from authentication.phone_numbers import phone_key

from ...models import Action, Patient
from ...services.history import write_down
from ...services.retention import all_about

MOST_CANDIDATES = 50


class Command(BaseCommand):
    help = (
        "Prints all that is held about one patient, as JSON; the history gets a line of it. "
        "Given a name, an id or a contact number, lists whom it may mean, and exports nobody."
    )

    def add_arguments(self, parser):
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument("text", nargs="?", help="a part of a name or id, or a contact number")
        whom.add_argument("--id", type=int, help="the patient's, as the list and the admin have it")
        parser.add_argument(
            "--output", metavar="FILE", help="a new file, readable by its owner alone"
        )

    def handle(self, *, text, id, output, **_options):  # noqa: A002
        if id is None:
            self.list_candidates(text)
            return
        with transaction.atomic():
            patient = Patient.objects.filter(pk=id).first()
            if patient is None:
                raise CommandError(f"There is no patient {id}.")
            write_down(Action.EXPORTED, Patient, str(patient.pk), run_by=getpass.getuser())
            held = {"exported_at": timezone.now(), **all_about(patient)}
            written = json.dumps(held, default=str, indent=2, ensure_ascii=False)
            if output is None:
                self.stdout.write(written)
            else:
                write_for_owner(output, written)

    def list_candidates(self, text: str) -> None:
        number = phone_key(text)
        meant = Patient.objects.named_like(text)
        if number:
            meant |= Patient.objects.filter(contact_key=number)
        found = meant.annotate(number=Count("referrals")).order_by("id")
        candidates = found.values_list("pk", "full_name_or_id", "contact_number", "number")[
            : MOST_CANDIDATES + 1
        ]
        if not candidates:
            raise CommandError("There is no such patient.")
        for pk, name, contact_number, number in candidates[:MOST_CANDIDATES]:
            self.stdout.write(f"--id={pk}  {name}  {contact_number or '-'}  referrals: {number}")
        if len(candidates) > MOST_CANDIDATES:
            self.stdout.write("There are more: say more of the name.")


def write_for_owner(path: str, text: str) -> None:
    """Raises CommandError where there is such a file already, or it cannot be made."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(text + "\n")
