"""Stands in for curl where a machine has none, for the flags that README.md's walk uses."""

import argparse
import sys
import urllib.request
from pathlib import Path


def write_stand_in_for_curl(folder: Path) -> None:
    """Write a program `curl` into the folder, which runs this file."""
    program = folder / "curl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    program.chmod(0o755)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("-s", action="store_true")
    options.add_argument("-f", action="store_true")
    options.add_argument("-X", dest="method")
    options.add_argument("-H", dest="headers", action="append", default=[])
    options.add_argument("-d", dest="body")
    options.add_argument("url")
    given = options.parse_args()

    request = urllib.request.Request(  # noqa: S310 (the walk's own addresses)
        given.url,
        data=given.body.encode() if given.body else None,
        headers=dict(header.split(": ", 1) for header in given.headers),
        method=given.method,
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        sys.stdout.buffer.write(answer.read())


if __name__ == "__main__":
    main()
