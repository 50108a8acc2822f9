#!/usr/bin/env python
import os
import sys

WHAT_TO_DO = (
    "In the stack run `docker compose exec backend python manage.py …`; on a developer's machine "
    "`make setup`, then .venv/bin/python manage.py with ENVIRONMENT=demo and the DATABASE_URL that "
    "`make db` prints. README.md lists the variables."
)


def main() -> None:
    """Raises SystemExit with one line where Django or the settings that it needs are missing."""
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        from _tetradx.db.audit_context import Command, changes_come_from
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        sys.exit(f"manage.py: this Python has no Django. {WHAT_TO_DO}")

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    try:
        # Django itself would continue without settings, and fail later.
        settings.INSTALLED_APPS  # noqa: B018
    except ImproperlyConfigured as error:
        sys.exit(f"manage.py: {str(error).rstrip('.')}. {WHAT_TO_DO}")
    with changes_come_from(Command.named_by(sys.argv)):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
