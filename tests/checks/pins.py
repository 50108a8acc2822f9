"""Whether every package that is pinned, and each that they pull in, can be installed as a wheel
wherever the service is developed or runs: on each supported Python, on x86-64 and on ARM.

    make pins

uv asks the package index, by its own settings (UV_DEFAULT_INDEX where it is not PyPI), and installs
nothing. psycopg 3 is refused, whoever brings it: Django would prefer it to psycopg2, and the first
query would fail.

`make check` does with --installed the part that needs no network.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Development's include production's.
REQUIREMENTS = ROOT / "requirements-dev.txt"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What Debian and Ubuntu of the last years can install, the image's among them.
PLATFORMS = ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28"]
RESOLVE = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary=:all:"]
# Which Python runs the resolver says nothing of the target; uv would look through all there are.
RESOLVE += [f"--python={sys.executable}", "--no-header", "--no-annotate"]


def refused(names: Iterable[str]) -> set[str]:
    """Those of psycopg 3: psycopg, psycopg-binary, psycopg_c, psycopg.pool, however written."""
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    return {name for name in names if name == "psycopg" or name.startswith("psycopg-")}


def faults_of(python: str, platform: str) -> Iterator[str]:
    target = [f"--python-version={python}", f"--python-platform={platform}"]
    done = subprocess.run(
        [*RESOLVE, *target, str(REQUIREMENTS)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield done.stderr.strip()
    for name in sorted(refused(re.findall(r"^([\w.-]+)==", done.stdout, re.MULTILINE))):
        yield f"{name} is psycopg 3, which Django would use in place of psycopg2"


def check_installed() -> None:
    if names := refused(package.name for package in metadata.distributions()):
        sys.exit(f"Installed is psycopg 3 ({', '.join(sorted(names))}): see tests/checks/pins.py.")


def check_everywhere() -> None:
    faults = [
        f"Python {python} on {platform}: {fault}"
        for python in PYTHONS
        for platform in PLATFORMS
        for fault in faults_of(python, platform)
    ]
    if faults:
        sys.exit("\n".join(faults))
    print(f"Every pin has a wheel for Python {', '.join(PYTHONS)}, on {', '.join(PLATFORMS)}")


if __name__ == "__main__":
    check_installed() if sys.argv[1:] == ["--installed"] else check_everywhere()
