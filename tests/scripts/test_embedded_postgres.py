"""The script runs as make runs it, on a cluster of the test's own."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest

from tests.support.throwaway_postgres import SCRIPT, environment_with, processes_in

WAIT_SECONDS = 20

WAIT_FOR_INPUT = "import sys; print('up', flush=True); sys.stdin.read()"
COUNT_INTERRUPTS = """
import signal, sys, time
caught = []
signal.signal(signal.SIGINT, lambda *_: caught.append(1))
print('up', flush=True)
while not caught:
    time.sleep(0.05)
time.sleep(0.5)
print(len(caught), flush=True)
"""


class Checkout:
    """One checkout's var, and the script on it."""

    def __init__(self, var: Path) -> None:
        self.cluster = var / "postgres" / "cluster"
        self.started: list[subprocess.Popen[str]] = []
        self.environment = environment_with(var)

    def popen(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **environment: str) -> SimpleNamespace:
        process = self.popen(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=WAIT_SECONDS)
        return SimpleNamespace(code=process.returncode, stdout=stdout.strip(), stderr=stderr)

    def python(self, program: str) -> subprocess.Popen[str]:
        """A program on the server, once it has said that it is up."""
        process = self.popen("exec", "--", sys.executable, "-c", program)
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        return process

    def query(self, statement: str) -> object:
        with closing(psycopg2.connect(self.run("url").stdout)) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None

    def socket_folder(self) -> Path:
        return Path(parse_qs(urlsplit(self.run("url").stdout).query)["host"][0])

    def processes(self) -> list[int]:
        return processes_in(self.cluster)

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        self.run("stop")


@pytest.fixture(scope="module")
def new_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = Checkout(tmp_path_factory.mktemp("new") / "var")
    checkout.run("exec", "--", "true")
    return checkout.cluster


@pytest.fixture
def checkout(tmp_path: Path, new_cluster: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path / "var")
    # Faster than a new one for each test.
    checkout.cluster.parent.mkdir(mode=0o700, parents=True)
    shutil.copytree(new_cluster, checkout.cluster)
    yield checkout
    checkout.end()


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """For the tests that only ask; its path has what a URL and a shell take amiss."""
    checkout = Checkout(tmp_path_factory.mktemp("socket") / "A's 1% +é")
    checkout.run("start")
    yield checkout
    checkout.end()


def test_the_server_lives_as_long_as_the_command_and_its_exit_code_is_passed_on(checkout):
    program = """
import os, psycopg2
connection = psycopg2.connect(os.environ["DATABASE_URL"])
cursor = connection.cursor()
cursor.execute("SELECT current_user, current_database()")
print(*cursor.fetchone())
raise SystemExit(7)
"""
    result = checkout.run("exec", "--", sys.executable, "-c", program)

    assert (result.code, result.stdout) == (7, "tetradx tetradx")
    assert checkout.processes() == []


def test_a_pinned_server_stays_until_it_is_stopped(checkout):
    started = checkout.run("start")
    assert started.stdout == checkout.run("url").stdout
    assert checkout.run("exec", "--", "true").code == 0
    assert checkout.processes()

    assert checkout.run("stop").code == 0
    assert checkout.processes() == []


def test_the_last_one_out_stops_the_server(checkout):
    first, second = checkout.python(WAIT_FOR_INPUT), checkout.python(WAIT_FOR_INPUT)

    first.communicate(timeout=WAIT_SECONDS)
    assert checkout.query("SELECT 1") == 1
    assert "still in use" in checkout.run("stop").stdout
    assert checkout.query("SELECT 1") == 1

    second.communicate(timeout=WAIT_SECONDS)
    assert checkout.processes() == []


def test_many_who_come_and_go_at_once_all_find_a_server(checkout):
    program = "import os, psycopg2; psycopg2.connect(os.environ['DATABASE_URL']).close()"
    everyone = [checkout.popen("exec", "--", sys.executable, "-c", program) for _ in range(8)]

    for process in everyone:
        _, stderr = process.communicate(timeout=WAIT_SECONDS)
        assert (process.returncode, stderr) == (0, "")
    assert checkout.processes() == []


def test_every_row_is_there_again_after_everything_was_killed(checkout):
    running = checkout.python(WAIT_FOR_INPUT)
    checkout.query("CREATE TABLE referral AS SELECT generate_series(1, 1000)")
    for process in [running.pid, *checkout.processes()]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    checkout.run("start")
    assert checkout.query("SELECT count(*) FROM referral") == 1000


def test_a_lock_file_whose_process_number_is_in_use_again_does_not_matter(checkout):
    checkout.run("exec", "--", "true")
    lock = f"{os.getpid()}\n{checkout.cluster}\n0\n5432\n{checkout.socket_folder()}\n\n"
    (checkout.cluster / "postmaster.pid").write_text(lock)
    checkout.socket_folder().mkdir(mode=0o700)
    (checkout.socket_folder() / ".s.PGSQL.5432.lock").write_text(lock)

    assert checkout.run("exec", "--", "true").code == 0
    assert checkout.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_command_and_the_server(checkout, number):
    running = checkout.python(WAIT_FOR_INPUT)

    running.send_signal(number)
    assert running.wait(timeout=WAIT_SECONDS) == 128 + signal.SIGTERM
    assert checkout.processes() == []


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_an_interrupt_reaches_the_command_once_whoever_is_sent_it(checkout, send):
    running = checkout.python(COUNT_INTERRUPTS)

    send(running.pid, signal.SIGINT)
    stdout, _ = running.communicate(timeout=WAIT_SECONDS)

    assert (running.returncode, stdout) == (0, "1\n")
    assert checkout.processes() == []


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DB_HOST"])
def test_a_server_that_is_named_wins(checkout, variable):
    print_it = f"import os; print(os.environ.get('DATABASE_URL'), os.environ['{variable}'])"
    named = {variable: "postgres://elsewhere/tetradx"}

    result = checkout.run("exec", "--", sys.executable, "-c", print_it, **named)

    assert result.stdout.split()[1] == "postgres://elsewhere/tetradx"
    assert checkout.run("start", **named).code == 0
    assert checkout.processes() == []


def test_without_a_postgresql_the_message_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("TETRADX_VAR", str(tmp_path))
    monkeypatch.syspath_prepend(SCRIPT.parent)
    script = runpy.run_path(str(SCRIPT))
    monkeypatch.setitem(script["programs"].__wrapped__.__globals__, "PROGRAMS", ("no-such",))

    with pytest.raises(SystemExit, match="DATABASE_URL"):
        script["programs"]()


def test_a_path_too_long_for_a_socket_works(tmp_path):
    checkout = Checkout(tmp_path / ("x" * 120) / "var")

    try:
        checkout.run("start")
        assert checkout.query("SELECT 1") == 1
    finally:
        checkout.end()


def test_somebody_elses_socket_folder_is_refused(checkout):
    checkout.run("exec", "--", "true")
    checkout.socket_folder().mkdir()
    checkout.socket_folder().chmod(0o755)

    result = checkout.run("start")

    assert result.code == 1
    assert "not a private folder" in result.stderr
    checkout.socket_folder().rmdir()


def test_case_is_mapped_for_all_of_unicode(running_server):
    assert running_server.query("SELECT upper('ɛɔŋ') || lower('ƐƆŊ')") == "ƐƆŊɛɔŋ"
    assert running_server.query("SELECT 'Ɔkɔmfo' ILIKE 'ɔKƆMFO'") is True


def test_it_listens_on_its_private_socket_alone(running_server):
    cluster = running_server.cluster

    assert running_server.query("SHOW listen_addresses") == ""
    for folder in (cluster, cluster.parent, running_server.socket_folder()):
        assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_no_value_of_a_failed_statement_reaches_the_log(running_server):
    running_server.query("CREATE TABLE patient (name text UNIQUE)")
    for statement in ("SELECT 'Ama Mensah'::int", "INSERT INTO patient VALUES ('Ama'), ('Ama')"):
        with pytest.raises(psycopg2.Error):
            running_server.query(statement)

    assert "Ama" not in (running_server.cluster.parent / "server.log").read_text()
