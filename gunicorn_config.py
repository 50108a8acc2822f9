"""How gunicorn serves: `python -m gunicorn -c gunicorn_config.py _tetradx.wsgi`.

What differs from one machine to another can be set by the variable beside it.
"""

import contextlib
import ctypes
import os
import signal

host = os.environ.get("HOST", "127.0.0.1")
# An IPv6 address has colons of its own.
bind = f"{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT', '8000')}"

# Two workers per core and one, each with threads: while one thread waits for the database another
# one works, and only threaded workers keep a client's connection alive.
processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
workers = int(os.environ.get("GUNICORN_WORKERS", 2 * (processors or 1) + 1))
worker_class = "gthread"
threads = int(os.environ.get("GUNICORN_THREADS", 4))

# The code is loaded once, before the fork, so that the workers share its memory.
preload_app = True

# A worker that does not answer the master for this long is replaced. Above the database's own
# statement timeout, which ends a slow request first and says why.
timeout = int(os.environ.get("GUNICORN_TIMEOUT_S", 120))
graceful_timeout = int(os.environ.get("GUNICORN_GRACEFUL_TIMEOUT_S", 30))
keepalive = int(os.environ.get("GUNICORN_KEEPALIVE_S", 5))

# Workers are replaced now and then, not all at once, so that no leak can grow for ever.
max_requests = int(os.environ.get("GUNICORN_MAX_REQUESTS", 1000))
max_requests_jitter = max_requests // 10

# Heartbeats are files that must never wait for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108

control_socket_disable = True

# No client, nor proxy, decides by a header where the application is mounted.
forwarder_headers = ""

# Whose X-Forwarded-* headers are believed.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")

# One line per request. %(U)s is the path without the query, which may hold a patient's name.
logger_class = "_tetradx.gunicorn_logs.Logger"
accesslog = "-"
errorlog = "-"
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "info")
access_log_format = (
    "%(t)s access %(m)s %(U)s status=%(s)s bytes=%(B)s ms=%(M)s"
    " address=%(h)s request_id=%({x-request-id}o)s"
)


def post_worker_init(worker):
    leave_ctrl_c_to_the_master()
    keep_large_blocks_out_of_the_heap()


def leave_ctrl_c_to_the_master():
    """Ctrl-C reaches the whole process group, and the master tells its workers to stop.

    One that had heard of it twice could be interrupted while it woke its idle threads, and then
    wait for them until it was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def keep_large_blocks_out_of_the_heap():
    """Gives the 19 MiB that hashing a password takes back to the system each time.

    Left to itself, glibc takes the first such block as a sign to keep the next ones, one for each
    thread (mallopt(3), M_MMAP_THRESHOLD).
    """
    m_mmap_threshold = -3
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(m_mmap_threshold, 1024 * 1024)
