from collections.abc import Iterable, Sequence


def in_columns(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Formats rows under their heads for a terminal; numbers are right-aligned, None is blank."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    numeric = [all(is_number(row[at]) for row in cells) for at in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [heads, *cells]
    )


def is_number(cell: str) -> bool:
    return not cell or cell.replace(".", "", 1).isdecimal()
