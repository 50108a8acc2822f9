"""Makes, checks and restores backups of the database. Needs only Python.

    backup.py make FOLDER    dump the database into FOLDER, check the dump by restoring it
                             into a scratch database; prints the file
    backup.py check FILE     restore FILE into a scratch database, and compare
    backup.py restore FILE   restore FILE, compare, and put it in the database's place;
                             what was there is kept beside it, under another name

A FOLDER after FILE is listed where FILE is not a backup (var/backups by default).

PostgreSQL's own programs run on the server's side: TETRADX_DB_EXEC is the command that
starts them there (`docker compose exec -T db`). They connect by PGUSER and PGDATABASE, or
else by POSTGRES_USER and POSTGRES_DB, which the official image sets.

The number of rows of each table is compared. It is counted in the snapshot that is dumped,
and kept beside FILE as FILE.counts.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

FOLDER = Path("var/backups")
NEWEST = 5

PREFIX = shlex.split(os.environ.get("TETRADX_DB_EXEC") or "docker compose exec -T db")

# Runs before each program: the role and the database that it connects to by default.
LOGIN = """
export PGUSER="${PGUSER:-$POSTGRES_USER}" PGDATABASE="${PGDATABASE:-$POSTGRES_DB}"
exec "$@"
"""
NAME_OF_DATABASE = 'echo "$PGDATABASE"'

# pg_dump and pg_restore set these themselves; a session that waits for them needs them, too.
WITHOUT_LIMITS = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;"

COUNT_ROWS = r"""
SELECT format('SELECT %L, count(*) FROM %I.%I', relname, nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY nspname, relname
\gexec
"""


# A dump holds neither the owner of the database nor its privileges. A new database lets everybody
# create temporary tables, which shadow other tables of the same name.
DATABASE_AS_BEFORE = """
SELECT format('ALTER DATABASE %I OWNER TO %I', current_database(), tableowner)
FROM pg_tables WHERE tablename = 'django_migrations'
\\gexec
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database())
\\gexec
"""


def at_server(*command: str) -> list[str]:
    return [*PREFIX, "sh", "-c", LOGIN, "sh", *command]


def psql(database: str) -> list[str]:
    options = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    return at_server("psql", *options, f"--dbname={database}")


def ask(sql: str, database: str = "postgres") -> str:
    result = subprocess.run(psql(database), input=sql, text=True, stdout=subprocess.PIPE)
    if result.returncode != 0:
        raise SystemExit("PostgreSQL refused that; see above.")
    return result.stdout


def name_of_database() -> str:
    result = subprocess.run(
        at_server("sh", "-c", NAME_OF_DATABASE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if result.returncode != 0 or not (name := result.stdout.strip()):
        raise SystemExit(f"The database's server is not reached by: {shlex.join(PREFIX)}")
    return name


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def counts_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.counts")


def counts_beside(file: Path, folder: Path, command: str) -> str:
    """Returns the counts of a readable backup.

    Raises SystemExit, with the newest backups of the folder and the `command` for one, where the
    file or its counts cannot be read.
    """
    try:
        if not file.name:
            raise SystemExit(f"Which backup is not said. {newest(folder, command)}")
        file.open("rb").close()
        return counts_file(file).read_text()
    except OSError as error:
        lies_beside = "" if error.filename == str(file) else f", which belongs beside {file}"
        raise SystemExit(
            f"{error.filename}: {error.strerror}{lies_beside}. {newest(folder, command)}"
        ) from None


def newest(folder: Path, command: str) -> str:
    """Lists the newest backups of the folder, and the command for the latest."""
    files = [file for file in folder.glob("*.dump") if counts_file(file).is_file()]
    # Sorted by the time in the name: a copy has a modification time of its own.
    files.sort(key=lambda file: file.stem.rpartition("-")[2], reverse=True)
    if not files:
        return f"No backup lies in {folder}; {command}/the/folder/NAME.dump is one elsewhere."
    names = "\n".join(f"  {file}" for file in files[:NEWEST])
    return f"The newest backups are\n{names}\nSay {command}{shlex.quote(str(files[0]))}"


def private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def count_rows(database: str) -> str:
    """Returns lines of `table|rows`."""
    return ask(COUNT_ROWS, database)


def dump(database: str, file: Path) -> str:
    """Writes the dump, and returns the rows of each table in the same snapshot."""
    begin = f"{WITHOUT_LIMITS} BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    with subprocess.Popen(
        psql(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        session.stdin.write(f"{begin} SELECT pg_export_snapshot();\n")
        session.stdin.flush()
        snapshot = session.stdout.readline().strip()
        if not snapshot:
            raise SystemExit("PostgreSQL gave no snapshot; see above.")
        # The custom format is compressed.
        options = ("--format=custom", "--no-password", f"--snapshot={snapshot}")
        with open(file, "xb", opener=private) as output:
            program = at_server("pg_dump", *options, f"--dbname={database}")
            done = subprocess.run(program, stdin=subprocess.DEVNULL, stdout=output)
        counts, _ = session.communicate(COUNT_ROWS)
    if done.returncode != 0 or session.returncode != 0:
        raise SystemExit("The dump failed; see above.")
    return counts


def fill(database: str, file: IO[bytes]) -> None:
    """Restores the dump into a new database. The roles that the dump names must exist."""
    ask(f"CREATE DATABASE {quoted(database)} TEMPLATE template0;")
    program = at_server("pg_restore", "--exit-on-error", f"--dbname={database}")
    if subprocess.run(program, stdin=file).returncode != 0:
        raise SystemExit("The dump cannot be restored; see above.")
    ask(DATABASE_AS_BEFORE, database)
    # Without statistics the planner would take the tables for empty at first.
    ask("SET statement_timeout = 0; ANALYZE;", database)


def drop(database: str) -> None:
    ask(f"DROP DATABASE IF EXISTS {quoted(database)} WITH (FORCE);")


@contextmanager
def restored(file: Path, expected: str, database: str) -> Iterator[None]:
    """Restores and compares the dump in a new database, which is dropped where something fails."""
    try:
        with file.open("rb") as contents:
            fill(database, contents)
        compare(expected, count_rows(database))
        yield
    except BaseException:
        with suppress(SystemExit):
            drop(database)
        raise


def compare(expected: str, found: str) -> None:
    if differing := sorted(set(expected.splitlines()) ^ set(found.splitlines())):
        raise SystemExit("The restored database differs:\n" + "\n".join(differing))


def summary(counts: str) -> str:
    rows = [int(line.rpartition("|")[2]) for line in counts.splitlines()]
    return f"{sum(rows)} rows in {len(rows)} tables"


def check(file: Path, counts: str) -> None:
    scratch = f"{name_of_database()}_check_{now()}"
    with restored(file, counts, scratch):
        drop(scratch)


def make(folder: Path) -> None:
    database = name_of_database()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{database}-{now()}.dump"
    # The file gets its name once it has been checked.
    unchecked = file.with_name(f"{file.name}.unchecked")
    try:
        counts = dump(database, unchecked)
        check(unchecked, counts)
        with open(counts_file(file), "x", opener=private) as output:
            output.write(counts)
        unchecked.rename(file)
    finally:
        unchecked.unlink(missing_ok=True)
    print(f"{file}: {file.stat().st_size} bytes, {summary(counts)}, restored and compared")


def restore(file: Path, counts: str) -> None:
    database, time = name_of_database(), now()
    new, old = f"{database}_restored_{time}", f"{database}_before_{time}"
    with restored(file, counts, new):
        put_in_place(database, new, old)
    print(f"{database} is {file.name} again: {summary(counts)}, compared.")
    if exists(old):
        print(f"What was there is {old}. Once nobody needs it: DROP DATABASE {quoted(old)};")


def put_in_place(database: str, new: str, old: str) -> None:
    """Renames both in one transaction. Clients are disconnected, and reconnect to the new one."""
    if not exists(database):
        ask(f"ALTER DATABASE {quoted(new)} RENAME TO {quoted(database)};")
        return
    ask(f"ALTER DATABASE {quoted(database)} ALLOW_CONNECTIONS false;")
    try:
        ask(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE datname = {literal(database)};"
            f" BEGIN; ALTER DATABASE {quoted(database)} RENAME TO {quoted(old)};"
            f" ALTER DATABASE {quoted(new)} RENAME TO {quoted(database)}; COMMIT;"
        )
    finally:
        ask(f"ALTER DATABASE {quoted(old if exists(old) else database)} ALLOW_CONNECTIONS true;")


def exists(database: str) -> bool:
    return bool(ask(f"SELECT 1 FROM pg_database WHERE datname = {literal(database)};"))


def main(arguments: list[str]) -> None:
    match arguments:
        case ["make", folder]:
            make(Path(folder))
        case ["check", name, *folder]:
            file = Path(name)
            check(file, counts_beside(file, Path(*folder or [FOLDER]), f"{sys.argv[0]} check "))
            print(f"{name} can be restored, whole.")
        case ["restore", name, *folder]:
            file = Path(name)
            restore(file, counts_beside(file, Path(*folder or [FOLDER]), "make restore FILE="))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
