import getpass
import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError, transaction
from psycopg2.errors import InsufficientPrivilege

from ...models import Action, Patient
from ...services.history import write_down
from ...services.patients import EqualsAnotherError, correct_patient


class Command(BaseCommand):
    help = (
        "Corrects the name or id and the contact number of one patient, whom export_patient finds. "
        "Asks for both; where standard input is no terminal, its first two lines are they. "
        "The history keeps old and new."
    )

    def add_arguments(self, parser):
        parser.add_argument("id", type=int, help="the patient's, as export_patient lists it")
        parser.add_argument(
            "--although-equal",
            action="store_true",
            help="also where another patient has the same particulars; nothing makes them one",
        )

    def handle(self, *, id, although_equal, **_options):  # noqa: A002
        patient = Patient.objects.filter(pk=id).first()
        if patient is None:
            raise CommandError(f"There is no patient {id}.")
        self.stdout.write(f"Patient {id}, with referrals: {patient.referrals.count()}")
        name = self.ask("Name or id", patient.full_name_or_id) or patient.full_name_or_id
        number = self.ask("Contact number; - for none", patient.contact_number)
        number = {"": patient.contact_number, "-": ""}.get(number, number)
        try:
            with transaction.atomic():
                corrected = correct_patient(
                    patient_id=id,
                    full_name_or_id=name,
                    contact_number=number,
                    may_equal_another=although_equal,
                )
                write_down(Action.CHANGED, Patient, str(id), run_by=getpass.getuser())
        except ProgrammingError as error:
            if not isinstance(error.__cause__, InsufficientPrivilege):
                raise
            raise CommandError(
                "This role of the database may not write down who corrected a patient. "
                "Run it as the role that owns the tables, which also migrates."
            ) from None
        except Patient.DoesNotExist:
            raise CommandError(f"Patient {id} was removed meanwhile.") from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except EqualsAnotherError as error:
            raise CommandError(f"{error} Nothing was changed; see --although-equal.") from None
        for label, old, new in (
            ("Name or id", patient.full_name_or_id, corrected.full_name_or_id),
            ("Contact number", patient.contact_number, corrected.contact_number),
        ):
            if old != new:
                self.stdout.write(f"{label}: {old or '-'} is now {new or '-'}")

    def ask(self, what: str, current: str) -> str:
        """Empty where it is to stay. Not from the command line, which others can read."""
        if sys.stdin.isatty():
            self.stdout.write(f"{what} [{current or '-'}]: ", ending="")
            self.stdout.flush()
        return sys.stdin.readline().strip()
