import sys
from getpass import getpass

from django.core.management.base import BaseCommand, CommandError
from rest_framework import serializers

from _tetradx.api.error_handlers import sentences
from _tetradx.api.fields import NameField
from authentication.fields import NewPasswordField, PhoneNumberField

from ...services.facilities import create_facility


class CreateFacilityForm(serializers.Serializer):
    name = NameField()
    branch_names = serializers.ListField(child=NameField())
    admin_name = NameField()
    admin_phone = PhoneNumberField()
    admin_password = NewPasswordField()


class Command(BaseCommand):
    help = (
        "Makes a facility with its branches and the account of its administrator, who must change "
        "the password at the first login. Asks for that password; where standard input is no "
        "terminal, its first line is the password."
    )

    def add_arguments(self, parser):
        parser.add_argument("name")
        parser.add_argument(
            "--branch",
            dest="branch_names",
            metavar="NAME",
            action="append",
            default=[],
            help="The name of a branch; give it once for each.",
        )
        parser.add_argument("--admin-name", required=True)
        parser.add_argument("--admin-phone", required=True)

    def handle(self, *args, name, branch_names, admin_name, admin_phone, **options):
        form = CreateFacilityForm(
            data={
                "name": name,
                "branch_names": branch_names,
                "admin_name": admin_name,
                "admin_phone": admin_phone,
                "admin_password": ask_for_password(),
            }
        )
        try:
            form.is_valid(raise_exception=True)
            facility = create_facility(**form.validated_data)
        except serializers.ValidationError as error:
            raise CommandError("\n".join(sentences(error.detail))) from None
        self.stdout.write(f"Facility {facility.id}: {facility.name}")
        for branch in facility.branches.order_by("id"):
            self.stdout.write(f"Branch {branch.id}: {branch.name}")
        self.stdout.write(f"Administrator: {facility.admin}")


def ask_for_password() -> str:
    """Never taken from the command line, which other users of the machine can read."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Initial password of the administrator: ")
    if getpass("The same again: ") != password:
        raise CommandError("The passwords do not match.")
    return password
