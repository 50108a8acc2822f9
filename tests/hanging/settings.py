"""The service with three requests that hang, each for a reason of its own."""

import os

from _tetradx.settings import *  # noqa: F403

ROOT_URLCONF = "tests.hanging.urls"
DB_UNANSWERED_SECONDS = float(os.environ.get("UNANSWERED_SECONDS", "60"))
