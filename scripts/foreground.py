"""Runs a child in the foreground, which gets every signal of its parent, exactly once."""

import math
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

# Long enough for a child to end by a signal that has reached the whole process group.
INTERRUPT_GRACE_SECONDS = 2


def catch_signals() -> int:
    """Holds signals back; returns a descriptor that read_signals takes their numbers from."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    caught = [signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
    # nohup ignores SIGHUP on purpose.
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
    """Tells whether Ctrl-C in the terminal reaches this process, and with it the child."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def make_heeds_interrupts() -> bool:
    """Tells whether the parent is a make that has not received a SIGINT yet.

    On SIGINT make waits for its recipe and does not pass the signal on, since Ctrl-C reaches
    the recipe by itself. The only visible effect is that make drops its own handler.
    """
    try:
        status = Path(f"/proc/{os.getppid()}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    is_make = re.match(r"Name:\s*g?make\n", status)
    return bool(is_make and caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


def wait(child: subprocess.Popen[bytes], signals: int) -> int:
    """Passes signals on to the child, and returns its exit code as a shell does.

    The child must not get a SIGINT twice: pytest would skip its clean-up. A SIGINT from the
    terminal has already reached the child; one from elsewhere may have.
    """
    watch_make = make_heeds_interrupts()
    interrupt_at = math.inf
    while child.poll() is None:
        for number in read_signals(signals, seconds=0.5):
            if number != signal.SIGINT:
                # SIGHUP becomes SIGTERM, too: gunicorn would reload on it.
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
