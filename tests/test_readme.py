import os
import re
import shutil
import subprocess

import pytest
from django.conf import settings
from django.core.management import call_command

from medics.models import Referral
from tests.support.curl import write_stand_in_for_curl
from tests.support.readme import README, explained_variables
from tests.support.service import serving

BASE_DIR = settings.BASE_DIR


@pytest.fixture
def path_with_curl(tmp_path):
    """PATH with a curl: the machine's or, where it has none, a stand-in that knows the walk's."""
    if shutil.which("curl"):
        return os.environ["PATH"]
    write_stand_in_for_curl(tmp_path)
    return f"{tmp_path}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.django_db(transaction=True)
def test_the_walk_runs_as_it_stands(path_with_curl):
    walk = README.split("## A walk")[1].split("\n## ")[0]
    script = "\n".join(re.findall(r"```sh\n(.*?)```", walk, re.DOTALL))
    call_command("load_demo", referrals=20, verbosity=0)
    with serving() as (host, port):
        finished = subprocess.run(
            ["sh", "-eu", "-c", script],
            env={**os.environ, "PATH": path_with_curl, "BASE": f"http://{host}:{port}"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert finished.returncode == 0, finished.stderr
    referral = Referral.objects.get(clinical_notes="Fever for three days.")
    assert referral.is_completed


def test_every_variable_is_explained():
    reads = re.compile(
        r"""(?:env\.\w+|environ\.get|kept_secret|listed|origins|limit)\(\s*["']([A-Z0-9_]+)["']"""
    )
    sources = ("_tetradx/settings.py", "gunicorn_config.py")
    read = {name for file in sources for name in reads.findall((BASE_DIR / file).read_text())}
    assert explained_variables() == read
