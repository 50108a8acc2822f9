"""Writes .env from .env.example, with a generated value for each secret that is empty there.

Works in the current folder. An existing .env stays as it is: its secrets may be in use.
"""

import os
import re
import secrets
from pathlib import Path

EMPTY_SECRET = re.compile(r"^(\w+_(?:KEY|PASSWORD|TOKEN))=$", re.MULTILINE)


def main() -> None:
    example = Path(".env.example").read_text()
    # 64 characters without a special meaning in compose, a shell or a URL.
    content = EMPTY_SECRET.sub(lambda name: f"{name[1]}={secrets.token_urlsafe(48)}", example)
    try:
        with open(".env", "x", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(content)
    except FileExistsError:
        print(".env is there already and stays as it is.")
    else:
        print("Wrote .env with new secrets. Keep a copy of it where the backups are kept.")


if __name__ == "__main__":
    main()
