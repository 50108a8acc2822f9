"""README.md, and the variables that its table explains."""

import re

from django.conf import settings

README = (settings.BASE_DIR / "README.md").read_text()


def explained_variables() -> set[str]:
    """Return the names in the first column of the configuration table."""
    table = README.split("## Configuration")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`([A-Z0-9_]+)`", "".join(first_cells)))
