"""How gunicorn serves: `python -m gunicorn -c gunicorn_config.py _tetradx.wsgi`.

Each value has its reason beside it; what differs between machines is set by a variable.
"""

import contextlib
import ctypes
import os
import signal
import tempfile

from gunicorn.http import wsgi

from _tetradx.observability import worker_slots
from _tetradx.serving.cgroup import memory_bytes, processors

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "_tetradx.settings")

MIB = 1024 * 1024
# The memory of the master with the shared code, and of a worker at its peak (docs/performance.md).
MASTER_BYTES, WORKER_BYTES = 150 * MIB, 120 * MIB


def workers_by_default() -> int:
    """Two workers per processor of this container and one more, as far as its memory reaches.

    While one worker waits for the database another one works.
    """
    by_processors = 2 * processors() + 1
    limit = memory_bytes()
    if limit is None:
        return by_processors
    return max(1, min(by_processors, (limit - MASTER_BYTES) // WORKER_BYTES))


host = os.environ.get("HOST", "127.0.0.1")
# An IPv6 address has colons of its own.
bind = [f"{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT', '8000')}"]
if address := os.environ.get("METRICS_ADDRESS"):
    bind.append(address)

workers = int(os.environ.get("GUNICORN_WORKERS") or workers_by_default())
# Measured against the other classes in docs/performance.md. Only threaded workers keep a client's
# connection alive.
worker_class = os.environ.get(
    "GUNICORN_WORKER_CLASS", "_tetradx.serving.gunicorn_workers.BufferingWorker"
)
threads = int(os.environ.get("GUNICORN_THREADS", 4))

# The code is loaded once, before the fork, so that the workers share its memory.
preload_app = True

# A worker whose main loop does not answer the master for this long is replaced. Above the
# database's own statement timeout and above REQUEST_DEADLINE_SECONDS, so that a slow request is
# ended, or at least explained, before.
timeout = int(os.environ.get("GUNICORN_TIMEOUT_S", 120))
# The time that a stopping worker has to answer its open requests: as long as a statement may take.
graceful_timeout = int(os.environ.get("GUNICORN_GRACEFUL_TIMEOUT_S", 30))
# Long enough for a client that types a search, short enough that idle phones hold nothing.
keepalive = int(os.environ.get("GUNICORN_KEEPALIVE_S", 5))

# Workers are replaced now and then, not all at once, so that no memory leak can grow for ever.
max_requests = int(os.environ.get("GUNICORN_MAX_REQUESTS", 1000))
max_requests_jitter = max_requests // 10

# Heartbeats are files that must never wait for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108

# This server is only controlled by signals.
control_socket_disable = True

# Each worker keeps its metrics in files, which must never wait for a disk either.
measured = bool(os.environ.get("METRICS_TOKEN") or os.environ.get("METRICS_ADDRESS"))
if measured:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = os.environ.get(
        "PROMETHEUS_MULTIPROC_DIR"
    ) or os.path.join(worker_tmp_dir or tempfile.gettempdir(), f"tetradx-metrics-{os.getpid()}")

# What a request's line and headers may take. The longest of ours is a list's URL with a search; a
# token has 400 characters.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# Hides gunicorn's name and version in the `Server` header; gunicorn has no setting for it.
wsgi.SERVER = "tetradx"

# Neither a client nor a proxy decides by a header where the application is mounted.
forwarder_headers = ""

# Whose X-Forwarded-* headers are believed; settings.TRUSTED_PROXIES are the same.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

# One line per request, in the format of all other lines.
logger_class = "_tetradx.serving.gunicorn_logs.Logger"
accesslog = "-"
errorlog = "-"
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "info")


def on_starting(server):
    """Runs once, in the master, before there are workers."""
    from _tetradx.db.startup_checks import warn_of_rights, warn_of_too_few

    warn_of_too_few(wanted=server.cfg.workers * server.cfg.threads)
    warn_of_rights()
    if measured:
        worker_slots.clear()


def pre_fork(server, worker):
    if measured:
        worker_slots.assign(worker, server.WORKERS.values())


def post_fork(server, worker):
    if measured:
        from _tetradx.observability.metrics import count_worker_start

        worker_slots.occupy(worker)
        count_worker_start(worker)


def child_exit(server, worker):
    if measured:
        worker_slots.release(worker)


def on_exit(server):
    if measured:
        worker_slots.remove()


def post_worker_init(worker):
    from _tetradx.observability.request_watch import watch_requests

    leave_ctrl_c_to_the_master()
    keep_large_blocks_out_of_the_heap()
    watch_requests()


def worker_abort(worker):
    """The worker was silent for `timeout` seconds; it ends when this returns."""
    from _tetradx.observability.request_watch import report_aborted

    report_aborted()


def leave_ctrl_c_to_the_master():
    """Ignores Ctrl-C, which reaches the whole process group: the master tells its workers to stop.

    A worker that got the signal twice could be interrupted while it wakes its idle threads, and
    then wait for them until it is killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def keep_large_blocks_out_of_the_heap():
    """Returns the 19 MiB that hashing a password takes to the system each time.

    By default glibc raises its threshold after the first such block, and keeps the next ones, one
    for each thread (mallopt(3), M_MMAP_THRESHOLD).
    """
    m_mmap_threshold = -3
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(m_mmap_threshold, MIB)
