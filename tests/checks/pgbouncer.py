"""The main job through a real PgBouncer that pools transactions.

    make pgbouncer-check

gunicorn has eight threads, and PgBouncer two sessions of a throwaway database for them all. Six
practitioners register, log in, refer and list, and two technicians receive and complete, all at
once. It fails where an answer is not the expected one, where the history names anybody but who made
a change, or where a session lacks its time limits.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from tests.support.main_job import EFUA, PASSWORD, PRACTITIONERS, TECHNICIANS, main_job
from tests.support.ports import free_port, is_opened
from tests.support.service import serving
from tests.support.throwaway_postgres import Server, throwaway_server

SESSIONS = 2

# As in docs/pgbouncer.md; the sessions are taken in turns, so that each serves everybody.
CONFIGURATION = """
[databases]
tetradx = host=127.0.0.1 port={server_port} dbname=tetradx

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/userlist.txt
admin_users = tetradx
pool_mode = transaction
default_pool_size = {sessions}
min_pool_size = {sessions}
server_round_robin = 1
max_client_conn = 200
query_wait_timeout = 10
"""


@contextmanager
def pgbouncer(server: Server) -> Iterator[str]:
    """The URL of the server's database through a PgBouncer that runs as long as the block."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        raise SystemExit("There is no pgbouncer here. Debian's package: apt-get install pgbouncer")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tetradx-pgbouncer-") as name:
        folder = Path(name)
        configuration = CONFIGURATION.format(
            server_port=server.port, port=port, folder=folder, sessions=SESSIONS
        )
        if os.geteuid() == 0:
            # It refuses to be root, and reads what it is given once it is not.
            configuration += "user = nobody\n"
            folder.chmod(0o755)
        (folder / "pgbouncer.ini").write_text(configuration)
        (folder / "userlist.txt").write_text(f'"tetradx" "{server.password}"\n')
        with open(folder / "log", "w+") as log:
            running = subprocess.Popen([program, str(folder / "pgbouncer.ini")], stderr=log)
            try:
                if not is_opened(port, by=running, seconds=10):
                    raise SystemExit(f"pgbouncer did not start:\n{Path(log.name).read_text()}")
                yield f"postgres://tetradx:{server.password}@127.0.0.1:{port}/tetradx"
            finally:
                running.terminate()
                running.wait(timeout=10)


def check_history(server: Server, referrals: int) -> None:
    changes = server.query(
        "SELECT phone_number, count(*) FROM medics_statuschange"
        " LEFT JOIN authentication_user ON authentication_user.id = changed_by_id GROUP BY 1"
    )
    if {who for who, _ in changes} != set(TECHNICIANS):
        raise SystemExit("The history names somebody who changed nothing, or nobody.")
    if sum(number for _, number in changes) != 3 * referrals:
        raise SystemExit("The history lacks a change.")
    patients = server.query(
        "SELECT phone_number, count(*) FROM medics_change"
        " LEFT JOIN authentication_user ON authentication_user.id = changed_by_id"
        " WHERE row_table = 'medics_patient' AND request_id <> '' GROUP BY 1"
    )
    if None in dict(patients) or len(patients) != PRACTITIONERS:
        raise SystemExit("The history names another who named a patient, or nobody.")


def check_sessions(server: Server, through_pool: str) -> int:
    """How many sessions the pool has used."""
    with closing(psycopg2.connect(through_pool)) as connection:
        # Leaving a transaction open would cost the pool its session.
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
            " current_setting('jit'), nullif(current_setting('tetradx.user_id', true), ''),"
            " nullif(current_setting('tetradx.request_id', true), '')"
        )
        found = cursor.fetchone()
    if found != ("30s", "10s", "off", None, None):
        raise SystemExit(f"A session of the pool has other settings: {found}")
    [(sessions,)] = server.query(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    if sessions != SESSIONS:
        raise SystemExit(f"{sessions} sessions are open in place of {SESSIONS}.")
    return sessions


def check_refusal(server: Server, through_pool: str) -> None:
    """That DB_POOLING is needed."""
    try:
        psycopg2.connect(through_pool, options="-c statement_timeout=1").close()
    except psycopg2.OperationalError as refusal:
        if "options" in str(refusal):
            return
        raise
    raise SystemExit("PgBouncer no longer refuses options: docs/pgbouncer.md says it does.")


def main() -> None:
    with throwaway_server() as server:
        # Past the pool, as in production.
        server.manage("migrate", "--verbosity=0")
        server.manage("set_session_defaults")
        facility = ("Korle Laboratory", "--admin-name=Efua Asante", f"--admin-phone={EFUA}")
        server.manage("create_facility", *facility, input=PASSWORD)
        with pgbouncer(server) as url, tempfile.TemporaryFile() as log:
            with serving(log, DATABASE_URL=url, DB_POOLING="transaction") as address:
                start = time.monotonic()
                referrals = main_job(address)
                seconds = time.monotonic() - start
                sessions = check_sessions(server, url)
            check_history(server, referrals)
            check_refusal(server, url)
    print(
        f"{referrals} referrals made, received and completed in {seconds:.1f} s by eight threads"
        f" over {sessions} sessions; every change is in the history under its technician."
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")
    main()
