"""Replaces a key in .env by a generated one.

    rotate_key.py SECRET_KEY        signatures of the earlier key stay valid until `end`
    rotate_key.py end               from now on they are not
    rotate_key.py JWT_SIGNING_KEY   everybody has to log in again

Works in the current folder. The service takes a key at its start: docker compose up --detach.
"""

import os
import re
import secrets
import sys
from pathlib import Path

FALLBACKS = "SECRET_KEY_FALLBACKS"


def value_of(name: str, text: str) -> str:
    found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def with_value(name: str, value: str, text: str) -> str:
    line = f"{name}={value}"
    text, found = re.subn(rf"^{name}=.*$", lambda _: line, text, flags=re.MULTILINE)
    return text if found else f"{text.rstrip()}\n{line}\n"


def rotated(name: str, text: str) -> str:
    if name == "end":
        return with_value(FALLBACKS, "", text)
    earlier = value_of(name, text)
    if not earlier:
        raise SystemExit(f".env has no {name}: make env writes one.")
    if name == "SECRET_KEY":
        text = with_value(FALLBACKS, earlier, text)
    return with_value(name, secrets.token_urlsafe(64), text)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["SECRET_KEY" | "JWT_SIGNING_KEY" | "end" as name]:
            file = Path(".env")
            if not file.exists():
                raise SystemExit("There is no .env here: make env writes one.")
            text = rotated(name, file.read_text())
        case _:
            raise SystemExit(__doc__)
    # Written beside the file and then renamed, so that a crash cannot leave half of it.
    new = Path(".env.new")
    new.unlink(missing_ok=True)
    with open(new, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        output.write(text)
    new.replace(file)
    print("Now: docker compose up --detach")


if __name__ == "__main__":
    main(sys.argv[1:])
