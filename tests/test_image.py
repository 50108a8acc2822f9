import re
import subprocess
import sys

from django.conf import settings

DOCKERFILE = (settings.BASE_DIR / "Dockerfile").read_text()
DOCKERIGNORE = (settings.BASE_DIR / ".dockerignore").read_text().splitlines()
SERVING = DOCKERFILE.split("\nFROM ")[-1]


def test_the_image_holds_only_what_production_runs():
    assert "*" in DOCKERIGNORE
    let_in = {line[1:] for line in DOCKERIGNORE if line.startswith("!")}
    programs = {"gunicorn_config.py", "manage.py", "requirements.txt"}
    apps = {path.parent.name for path in settings.BASE_DIR.glob("*/apps.py")}
    assert let_in == programs | apps | {"_tetradx"}


def test_only_productions_requirements_are_installed_and_by_their_hashes():
    assert "requirements.txt" in DOCKERFILE
    assert "requirements-dev" not in DOCKERFILE
    [install] = re.findall("pip install .*", DOCKERFILE)
    assert "--require-hashes" in install


def test_the_service_does_not_run_as_root():
    [user] = re.findall(r"^USER (\d+):(\d+)$", SERVING, re.MULTILINE)
    assert "0" not in user


def test_gunicorn_is_the_process_that_gets_the_signals():
    assert SERVING.endswith('\nCMD ["gunicorn", "-c", "gunicorn_config.py", "_tetradx.wsgi"]\n')
    assert "ENTRYPOINT" not in SERVING


def test_no_key_stays_in_the_image():
    kept = re.findall(r"^(?:ENV|ARG) (?:.*\\\n)*.*$", SERVING, re.MULTILINE)
    assert kept
    assert not any("KEY" in instruction or "PASSWORD" in instruction for instruction in kept)


def test_the_settings_accept_what_the_static_files_are_collected_with():
    [given] = re.findall(r"&& (SECRET_KEY=.*?)python manage.py collectstatic", SERVING, re.DOTALL)

    subprocess.run(
        [sys.executable, "-c", "import _tetradx.settings"],
        cwd=settings.BASE_DIR,
        env=dict(re.findall(r"(\w+)=(\S+)", given)),
        check=True,
    )


def test_the_label_has_the_version():
    assert f'image.version="{settings.SPECTACULAR_SETTINGS["VERSION"]}"' in DOCKERFILE
