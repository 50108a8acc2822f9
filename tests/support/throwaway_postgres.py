"""A PostgreSQL server for one check, over TCP and with a password. It can be stopped and frozen."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2

from tests.support.ports import free_port

BASE_DIR = Path(__file__).resolve().parents[2]
SCRIPT = BASE_DIR / "scripts" / "embedded_postgres.py"

# Only the owner of the socket's folder connects through it; TCP needs the password.
ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def environment_with(var: Path) -> dict[str, str]:
    """Return this process's environment, in which scripts/embedded_postgres.py works in `var`."""
    environment = {**os.environ, "TETRADX_VAR": str(var)}
    # These name another server, on which the script would not start its own.
    return {
        name: value
        for name, value in environment.items()
        if name not in ("DATABASE_URL", "DB_HOST")
    }


def processes_in(cluster: Path) -> list[int]:
    """Return the process ids of a server, which works in the folder of its cluster. Linux only."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == cluster:
                found.append(int(process.name))
    return found


class Server:
    def __init__(self, var: Path, settings: dict[str, str]):
        self.var, self.port = var, free_port()
        self.password = secrets.token_urlsafe(24)
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), **settings}
        self.environment = environment_with(var) | {
            "TETRADX_POSTGRES": " ".join(f"{name}={value}" for name, value in settings.items()),
        }

    @property
    def url(self) -> str:
        return f"postgres://tetradx:{self.password}@127.0.0.1:{self.port}/tetradx"

    def script(self, command: str) -> str:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), command],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def start(self) -> None:
        """Start the server; return once it accepts connections."""
        self.script("start")

    def stop(self) -> None:
        """Stop the server, and with it all running statements, as a restart does."""
        self.script("stop")

    def take_passwords(self) -> None:
        """Set the role's password, and require it over TCP."""
        (self.var / "postgres" / "cluster" / "pg_hba.conf").write_text(ACCESS)
        with closing(psycopg2.connect(self.script("url"))) as connection, connection:
            cursor = connection.cursor()
            cursor.execute("ALTER ROLE tetradx PASSWORD %s", [self.password])
            cursor.execute("SELECT pg_reload_conf()")

    def query(self, sql: str) -> list[tuple]:
        with closing(psycopg2.connect(self.url)) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def manage(
        self,
        *arguments: str,
        input: str = "",  # noqa: A002 (subprocess's name)
        url: str = "",
        **variables: str,
    ) -> str:
        """Run manage.py on this server's database; return what it prints.

        `url` connects as another role; `variables` are set in its environment.
        """
        database = {"ENVIRONMENT": "test", "DATABASE_URL": url or self.url}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env={**os.environ, **database, **variables},
            input=input,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def processes(self) -> list[int]:
        return processes_in(self.var / "postgres" / "cluster")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the server: it keeps and accepts connections but answers nothing. Linux only."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)


@contextmanager
def throwaway_server(*, within: Path | None = None, **settings: str) -> Iterator[Server]:
    """Yield a running server with an empty database, and remove it after the block.

    Its files are in a new folder in /tmp, or in `within`.
    """
    with tempfile.TemporaryDirectory(
        prefix="tetradx-", dir=within, ignore_cleanup_errors=True
    ) as folder:
        server = Server(Path(folder).resolve() / "var", settings)
        server.start()
        try:
            server.take_passwords()
            yield server
        finally:
            server.stop()
