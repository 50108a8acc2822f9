import os
import sys

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from demo.logins import LOGINS, PASSWORD


class Command(BaseCommand):
    help = "Migrates, loads the demo network into an empty database, and serves at HOST:PORT."

    def add_arguments(self, parser):
        parser.add_argument(
            "--autoreload",
            action="store_true",
            help="serve with runserver, which restarts when a source file changes",
        )

    def handle(self, *, autoreload, **_options):
        host = os.environ.setdefault("HOST", "127.0.0.1")
        port = os.environ.setdefault("PORT", "8000")
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

        call_command("migrate", interactive=False, verbosity=0)
        call_command("load_demo", if_empty=True, stdout=self.stdout)
        if not autoreload:
            call_command("collectstatic", interactive=False, verbosity=0)
        self._print_addresses(f"http://{address}")

        # In place of this process, so that signals to it reach the server.
        os.chdir(settings.BASE_DIR)
        server = (
            ["manage.py", "runserver", address]
            if autoreload
            else ["-m", "gunicorn", "-c", "gunicorn_config.py", "_tetradx.wsgi:application"]
        )
        os.execv(sys.executable, [sys.executable, *server])  # noqa: S606 (no shell is wanted)

    def _print_addresses(self, root):
        self.stdout.write(f"\nAPI            {root}/api/")
        self.stdout.write(f"Documentation  {root}/api/docs/")
        self.stdout.write(f"Admin site     {root}/{settings.ADMIN_PATH}\n\n")
        for login in LOGINS:
            self.stdout.write(f"{login.phone_number}  {login.full_name:<13} {login.role}")
        self.stdout.write(f"Password of each: {PASSWORD}\n\n")
        # What is still buffered would be lost with this process.
        self.stdout.flush()
