"""The processors and memory that this process may use, which a container limits."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def processors(cgroup: Path = CGROUP) -> int:
    """The number by affinity or by the cgroup's quota, whichever is less, rounded up."""
    with_affinity = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if with_affinity else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    return max(1, min(allowed, ceil(quota))) if quota else allowed


def cpu_quota(cgroup: Path) -> float | None:
    """The quota in processors, None without one (Linux, cgroup-v2.rst, cpu.max; v1: sched-bwc)."""
    if words := read(cgroup / "cpu.max").split():
        return None if words[0] == "max" else int(words[0]) / int(words[1])
    quota, period = (read(cgroup / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def memory_bytes(cgroup: Path = CGROUP) -> int | None:
    """The cgroup's memory limit; None without a limit."""
    for path in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        limit = read(path).strip()
        # Version 1 writes "no limit" as a number beyond any memory.
        if limit.isdigit() and int(limit) < 1 << 60:
            return int(limit)
    return None


def read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""
