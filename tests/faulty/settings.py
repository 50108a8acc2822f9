"""The service with a list that breaks its word: what looks for faults must find these."""

from _tetradx.settings import *  # noqa: F403

ROOT_URLCONF = "tests.faulty.urls"
