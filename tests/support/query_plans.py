"""The plans by which PostgreSQL runs statements."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.database import execute


def nodes_run(sql: str, values: Sequence[Any] | None = None) -> list[dict[str, Any]]:
    """Run the statement; return the nodes of its plan as EXPLAIN ANALYZE describes each."""
    [[answer]] = execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
    [explained] = json.loads(answer) if isinstance(answer, str) else answer
    return list(nodes_of(explained["Plan"]))


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes_of(child)
