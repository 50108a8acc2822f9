#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

from _tetradx.origin import Command, changes_come_from

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    with changes_come_from(Command.named_by(sys.argv)):
        execute_from_command_line(sys.argv)
