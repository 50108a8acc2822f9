"""A child in the foreground that ends by every signal that its parent gets, and just once."""

import math
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

# Long enough for a child that a signal to the whole group has reached as well.
INTERRUPT_GRACE_SECONDS = 2


def catch_signals() -> int:
    """Hold signals back; returns a descriptor that read_signals takes their numbers from."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    caught = [signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
    # nohup ignores it on purpose.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        caught.append(signal.SIGHUP)
    for number in caught:
        signal.signal(number, lambda *_: None)
    return readable


def read_signals(signals: int, seconds: float = 0) -> list[int]:
    if not select.select([signals], [], [], seconds)[0]:
        return []
    return [number for number in os.read(signals, 4096) if number != signal.SIGCHLD]


def terminal_is_ours() -> bool:
    """Whether Ctrl-C in the terminal reaches this process, and with it the child."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def make_heeds_interrupts() -> bool:
    """Whether the parent is a make that no SIGINT has come to yet.

    On SIGINT make waits for its recipe without telling it, for Ctrl-C would have
    told it. All that shows is that make gives up its own handler.
    """
    try:
        status = Path(f"/proc/{os.getppid()}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    is_make = re.match(r"Name:\s*g?make\n", status)
    return bool(is_make and caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


def wait(child: subprocess.Popen[bytes], signals: int) -> int:
    """The child's exit code as a shell gives it; signals meant for the child go to it.

    A child that SIGINT has reached already is not to get it twice: pytest would skip
    its clean-up. From the terminal it has reached the child, from elsewhere it may have.
    """
    watch_make = make_heeds_interrupts()
    interrupt_at = math.inf
    while child.poll() is None:
        for number in read_signals(signals, seconds=0.5):
            if number != signal.SIGINT:
                # SIGHUP too, which gunicorn would take for a request to reload.
                child.terminate()
            elif terminal_is_ours():
                interrupt_at, watch_make = math.inf, False
            else:
                interrupt_at = min(interrupt_at, time.monotonic() + INTERRUPT_GRACE_SECONDS)
        if watch_make and not make_heeds_interrupts():
            interrupt_at, watch_make = time.monotonic() + INTERRUPT_GRACE_SECONDS, False
        if time.monotonic() >= interrupt_at:
            child.send_signal(signal.SIGINT)
            interrupt_at = math.inf
    return child.returncode if child.returncode >= 0 else 128 - child.returncode
