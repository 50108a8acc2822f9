"""The service with three requests that hang, each for a reason of its own."""

from _tetradx.settings import *  # noqa: F403

ROOT_URLCONF = "tests.hanging.urls"
