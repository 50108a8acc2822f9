import stat
import subprocess
import sys

import pytest
from django.conf import settings

SCRIPT = settings.BASE_DIR / "scripts" / "rotate_key.py"
ENV = "# Keys\nSECRET_KEY=old-secret\nJWT_SIGNING_KEY=old-signing\nDB_PASSWORD=p$1\\g<0>\n"


@pytest.fixture
def env(tmp_path):
    """The file as make env has written it."""
    file = tmp_path / ".env"
    file.write_text(ENV)
    return file


@pytest.fixture
def rotate(tmp_path):
    """Runs the script beside the file; gives how it finished."""

    def rotate(*arguments):
        return subprocess.run(
            [sys.executable, str(SCRIPT), *arguments], cwd=tmp_path, capture_output=True, text=True
        )

    return rotate


def values(env):
    return dict(line.split("=", 1) for line in env.read_text().splitlines() if "=" in line)


def test_a_secret_key_is_replaced_and_the_earlier_one_still_believed(env, rotate):
    assert rotate("SECRET_KEY").returncode == 0

    now = values(env)
    assert len(now["SECRET_KEY"]) >= 50
    assert now["SECRET_KEY_FALLBACKS"] == "old-secret"
    assert now["JWT_SIGNING_KEY"] == "old-signing"
    assert now["DB_PASSWORD"] == "p$1\\g<0>"
    assert env.read_text().startswith("# Keys\n")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert [file.name for file in env.parent.iterdir()] == [".env"]


def test_the_earlier_key_is_believed_no_longer_after_the_end(env, rotate):
    rotate("SECRET_KEY")
    key = values(env)["SECRET_KEY"]

    assert rotate("end").returncode == 0

    assert values(env)["SECRET_KEY_FALLBACKS"] == ""
    assert values(env)["SECRET_KEY"] == key


def test_a_signing_key_is_replaced_at_once(env, rotate):
    assert rotate("JWT_SIGNING_KEY").returncode == 0

    now = values(env)
    assert len(now["JWT_SIGNING_KEY"]) >= 50
    assert now["SECRET_KEY"] == "old-secret"
    assert "SECRET_KEY_FALLBACKS" not in now


def test_no_key_is_printed(env, rotate):
    done = rotate("SECRET_KEY")

    for key in ("old-secret", values(env)["SECRET_KEY"]):
        assert key not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [[], ["DB_PASSWORD"], ["SECRET_KEY", "x"]])
def test_anything_else_is_refused(env, rotate, arguments):
    assert rotate(*arguments).returncode == 1
    assert env.read_text() == ENV


def test_without_a_key_or_a_file_it_says_what_makes_one(env, rotate):
    env.write_text("SECRET_KEY=\n")
    assert "make env" in rotate("SECRET_KEY").stderr
    env.unlink()
    assert "make env" in rotate("SECRET_KEY").stderr
