"""Whether every package that is pinned, and each that they pull in, can be installed as a wheel
wherever the service is developed or runs: on each supported Python, on x86-64 and on ARM.

    make pins

uv asks the package index, by its own settings (UV_DEFAULT_INDEX where it is not PyPI), and installs
nothing. psycopg 3 is refused, whoever brings it: Django would prefer it to psycopg2, and the first
query would fail.

`make check` does with --offline what needs no index: each requirements*.txt is what its *.in asks
for, and psycopg 3 is neither there nor installed.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2]
# What is asked for, production's and development's with it; the files beside them hold the whole.
ASKED_FOR = ["requirements", "requirements-dev"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What Debian and Ubuntu of the last years can install, the image's among them.
PLATFORMS = ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28"]
RESOLVE = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary=:all:"]
# Which Python runs the resolver says nothing of the target; uv would look through all there are.
RESOLVE += [f"--python={sys.executable}", "--no-header", "--no-annotate"]

PIN = re.compile(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", re.MULTILINE)
INCLUDED = re.compile(r"^-r (\S+)$", re.MULTILINE)


def normal(name: str) -> str:
    """The name as every spelling of it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_in(text: str) -> set[tuple[str, str]]:
    """Names and versions."""
    return {(normal(name), version) for name, version in PIN.findall(text)}


def refused(names: Iterable[str]) -> list[str]:
    """Those of psycopg 3: psycopg, psycopg-binary, psycopg_c, psycopg.pool, however written."""
    names = {normal(name) for name in names}
    return sorted(name for name in names if name == "psycopg" or name.startswith("psycopg-"))


def faults_of_files() -> Iterator[str]:
    for name in ASKED_FOR:
        source = (FOLDER / f"{name}.in").read_text()
        for included in INCLUDED.findall(source):
            source += (FOLDER / included).read_text()
        whole = (FOLDER / f"{name}.txt").read_text()
        # Each pin, its hashes, and by whom it came.
        blocks = re.split(r"\n(?=\S)", whole)
        direct = pins_in("\n".join(block for block in blocks if re.search(r"-r \S+\.in", block)))
        for package, version in sorted(pins_in(source) ^ direct):
            yield f"{name}.txt is not what {name}.in asks for ({package}=={version}): make lock"
        for package in refused(package for package, _ in pins_in(whole)):
            yield f"{name}.txt has {package}, which is psycopg 3"


def faults_of_installed() -> Iterator[str]:
    for package in refused(package.name for package in metadata.distributions()):
        yield f"installed is {package}, which is psycopg 3"


def faults_of_target(name: str, python: str, platform: str) -> Iterator[str]:
    where = f"{name}.txt, Python {python} on {platform}"
    target = [f"--python-version={python}", f"--python-platform={platform}"]
    file = FOLDER / f"{name}.txt"
    done = subprocess.run(
        [*RESOLVE, *target, str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield f"{where}: {done.stderr.strip()}"
    found = pins_in(done.stdout)
    for package, version in sorted(found - pins_in(file.read_text())):
        yield f"{where}: {package}=={version} is not in the file: make lock"
    for package in refused(package for package, _ in found):
        yield f"{where}: {package} is psycopg 3"


def check_offline() -> None:
    if faults := [*faults_of_files(), *faults_of_installed()]:
        sys.exit("\n".join(faults))


def check_everywhere() -> None:
    check_offline()
    faults = [
        fault
        for name in ASKED_FOR
        for python in PYTHONS
        for platform in PLATFORMS
        for fault in faults_of_target(name, python, platform)
    ]
    if faults:
        sys.exit("\n".join(faults))
    print(f"Every pin has a wheel for Python {', '.join(PYTHONS)}, on {', '.join(PLATFORMS)}")


if __name__ == "__main__":
    check_offline() if sys.argv[1:] == ["--offline"] else check_everywhere()
