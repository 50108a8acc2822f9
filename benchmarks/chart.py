"""Draws how latency grows with the table, both on logarithmic scales, as an SVG."""

from html import escape
from math import ceil, floor, log10
from typing import Any

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 280, 40, 48
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"),
    *("#56b4e9", "#666666", "#7b3294", "#000000"),
)


def draw(results: dict[str, Any]) -> str:
    """Of every route that is to be flat: p50 by the number of referrals."""
    series: dict[str, list[tuple[int, float]]] = {}
    for run in results["runs"]:
        for row in run["rows"]:
            if row.get("flat"):
                series.setdefault(row["route"], []).append((run["referrals"], row["p50_ms"]))
    values = [ms for points in series.values() for _, ms in points]
    sizes = [run["referrals"] for run in results["runs"]]
    x = scale(min(sizes), max(sizes), LEFT, WIDTH - RIGHT)
    lowest, highest = 10 ** floor(log10(min(values))), 10 ** ceil(log10(max(values)))
    y = scale(lowest, highest, HEIGHT - BOTTOM, TOP)

    shapes = [text(LEFT, 20, "p50 in milliseconds, by the number of referrals", "start")]
    for power in range(round(log10(lowest)), round(log10(highest)) + 1):
        height = y(10**power)
        shapes.append(line([(LEFT, height), (WIDTH - RIGHT, height)], "#dddddd", 1))
        shapes.append(text(LEFT - 8, height + 4, f"{10**power:g}", "end"))
    for size in sizes:
        shapes.append(text(x(size), HEIGHT - BOTTOM + 20, f"{size:,}", "middle"))
    # The names from the top down as the lines end, a line's height apart.
    ordered = sorted(series.items(), key=lambda item: -item[1][-1][1])
    for place, (name, points) in enumerate(ordered):
        colour = COLOURS[place % len(COLOURS)]
        shapes.append(line([(x(size), y(ms)) for size, ms in points], colour, 2))
        label = f"{points[-1][1]:,.1f}  {name}"
        shapes.append(text(WIDTH - RIGHT + 12, TOP + 12 + 20 * place, label, "start", colour))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


def scale(low: float, high: float, start: float, end: float):
    """From low..high, logarithmically, to start..end."""
    span = log10(high / low) or 1
    return lambda value: start + (end - start) * log10(value / low) / span


def line(points: list[tuple[float, float]], colour: str, width: int) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def text(x: float, y: float, words: str, anchor: str, colour: str = "#333333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(words)}</text>"
    )
