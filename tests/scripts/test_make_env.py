"""`make env` in a folder that holds what a fresh clone does."""

import os
import shutil
import stat
import subprocess

import pytest
from django.conf import settings

SECRETS = {
    *("SECRET_KEY", "JWT_SIGNING_KEY", "METRICS_TOKEN"),
    *("DB_PASSWORD", "DB_OWNER_PASSWORD", "POSTGRES_PASSWORD"),
}


@pytest.fixture
def clone(tmp_path):
    for name in ("Makefile", ".env.example", "scripts/make_env.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(settings.BASE_DIR / name, tmp_path / name)
    return tmp_path


def make_env(folder):
    return subprocess.run(
        ["make", "--no-print-directory", "env"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def variables(file):
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_each_secret_is_generated_and_everything_else_as_in_the_example(clone):
    make_env(clone)

    written = variables(clone / ".env")
    example = variables(clone / ".env.example")
    assert written.keys() == example.keys()
    assert {name for name in written if written[name] != example[name]} == SECRETS
    assert len({written[name] for name in SECRETS}) == len(SECRETS)
    assert all(len(written[name]) == 64 for name in SECRETS)


def test_two_clones_have_no_secret_in_common(clone):
    make_env(clone)
    first = variables(clone / ".env")
    (clone / ".env").unlink()
    make_env(clone)
    second = variables(clone / ".env")

    assert not {first[name] for name in SECRETS} & {second[name] for name in SECRETS}


def test_the_secrets_are_the_owners_alone_and_not_shown(clone):
    shown = make_env(clone)

    assert stat.S_IMODE((clone / ".env").stat().st_mode) == 0o600
    written = variables(clone / ".env")
    assert not any(written[name] in shown for name in SECRETS)


def test_an_existing_env_stays_as_it_is(clone):
    (clone / ".env").write_text("SECRET_KEY=in-use\n")

    said = make_env(clone)

    assert "stays as it is" in said
    assert (clone / ".env").read_text() == "SECRET_KEY=in-use\n"
