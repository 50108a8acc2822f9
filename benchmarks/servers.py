"""The database and the two servers that a benchmark runs on."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from medics.models import Patient, Referral, ReferralTest, StatusChange
from medics.services.history import forgetting

from . import network
from .measuring import Address
from .without_limits import WITHOUT_LIMITS


def use_database(referrals: int) -> None:
    """A database of its own for each size, filled unless it was before; it is kept."""
    name = f"tetradx_bench_{referrals}"
    connection.close()
    connection.settings_dict["NAME"] = settings.DATABASES["default"]["NAME"] = name
    os.environ.update(environment_of(name))
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {name}")
    call_command("migrate", interactive=False, verbosity=0)
    if Referral.objects.exists():
        remove_what_a_run_left()
    if Referral.objects.count() != referrals:
        call_command("load_benchmark", referrals=referrals)


def environment_of(name: str) -> dict[str, str]:
    """The variables that name the database to another process."""
    if url := os.environ.get("DATABASE_URL"):
        return {"DATABASE_URL": urlunsplit(urlsplit(url)._replace(path=f"/{name}"))}
    return {"DB_NAME": name}


def drop_database(referrals: int) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS tetradx_bench_{referrals}")


def remove_what_a_run_left() -> None:
    late = Referral.objects.filter(referred_at__gt=network.UNTIL)
    with forgetting():
        StatusChange.objects.filter(referral__in=late).delete()
        ReferralTest.objects.filter(referral__in=late).delete()
        late.delete()
        Patient.objects.filter(created_at__gt=network.UNTIL).delete()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(application: str) -> Iterator[tuple[Address, int]]:
    """Its address and the master's process id; ends with the block.

    As production serves it. ENVIRONMENT alone is another, for without TLS in front of it
    production would redirect every request.
    """
    address = Address("127.0.0.1", free_port())
    environment = {
        **os.environ,
        **WITHOUT_LIMITS,
        "ENVIRONMENT": "demo",
        "HOST": address.host,
        "PORT": str(address.port),
    }
    with TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn_config.py", application],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            if not comes_up(server, address):
                log.seek(0)
                raise RuntimeError(f"{application} does not answer:\n{log.read()}")
            yield address, server.pid
        finally:
            server.terminate()
            try:
                server.wait(timeout=40)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def comes_up(server: subprocess.Popen, address: Address, seconds: float = 30) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up and server.poll() is None:
        try:
            socket.create_connection((address.host, address.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
