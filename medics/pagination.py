"""Pages of a list, by number or by cursor, in SQL: a page reads the rows that it shows."""

from itertools import takewhile
from math import ceil
from typing import Any, NamedTuple, Protocol

from django.core import signing
from rest_framework import serializers

from _tetradx.api.fields import TextField, WholeNumberField

MAX_PAGE_SIZE = 100


class PageForm(serializers.Serializer):
    """The query parameters that every paged list takes."""

    page_number = WholeNumberField(
        min_value=1, default=1, help_text="A page beyond the last is the last page."
    )
    page_size = WholeNumberField(
        min_value=1, default=10, help_text=f"Above {MAX_PAGE_SIZE} it is served as that."
    )
    cursor = TextField(
        required=False,
        help_text=(
            "A `next_cursor` or `previous_cursor`, in place of `page_number`: a list of any length "
            "at a constant cost per page, with no row skipped or repeated."
        ),
    )

    def validate_page_size(self, size: int) -> int:
        return min(size, MAX_PAGE_SIZE)


class PaginationSerializer(serializers.Serializer):
    current_page = serializers.IntegerField(allow_null=True, help_text="Null with a cursor.")
    page_size = serializers.IntegerField()
    total_pages = serializers.IntegerField(help_text="At least 1.")
    total_referrals = serializers.IntegerField()
    has_next = serializers.BooleanField()
    has_previous = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)
    previous_cursor = serializers.CharField(allow_null=True)
    total_is_capped = serializers.BooleanField()


class Ordering(NamedTuple):
    """A total order of rows: what they are sorted by, and whether downwards."""

    name: str
    descending: bool


class Row(NamedTuple):
    """A row as the answer shows it, and where it stands in the order of its list."""

    position: list[str]
    shown: dict[str, Any]


class FetchRows(Protocol):
    """Gives the rows of a list in its order, or `backwards`, those beyond `position` alone."""

    def __call__(
        self,
        *,
        limit: int,
        offset: int = 0,
        position: list[str] | None = None,
        backwards: bool = False,
    ) -> list[Row]: ...


def paginate(
    fetch: FetchRows,
    *,
    ordering: Ordering,
    total: int,
    total_is_capped: bool,
    page_number: int,
    page_size: int,
    cursor: str | None = None,
    unsettled: list[str] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of one page, and what `PaginationSerializer` describes.

    `unsettled` are two values of the first column between which a row could still come before one
    that is there. The page stops short of such rows, and its cursor finds them later, so that a
    walk to the end misses none.
    """
    position: list[str] | None = None
    backwards = False
    total_pages = max(1, ceil(total / page_size))
    if cursor is None:
        current_page = min(page_number, total_pages)
        has_previous, has_next = current_page > 1, current_page < total_pages
        start = (current_page - 1) * page_size
        rows = numbered_rows(fetch, start, page_size, None if total_is_capped else total)
    else:
        current_page = None
        backwards, position = read_cursor(cursor, ordering)
        # One row more than the page shows whether there is another page.
        rows = fetch(limit=page_size + 1, position=position, backwards=backwards)
        has_more = len(rows) > page_size
        rows = rows[:page_size]
        # It was taken from a row on its other side, which is still there unless nothing is.
        has_previous, has_next = (has_more, bool(rows)) if backwards else (bool(rows), has_more)
        if backwards:
            rows.reverse()
    end = rows[-1].position if rows else None
    if unsettled and not backwards and len(settled := before(unsettled, rows)) < len(rows):
        rows, has_next = settled, True
        end = rows[-1].position if rows else position or [unsettled[0], ""]
    return [row.shown for row in rows], {
        "current_page": current_page,
        "page_size": page_size,
        "total_pages": total_pages,
        "total_referrals": total,
        "has_next": has_next,
        "has_previous": has_previous and (cursor is None or bool(rows)),
        "next_cursor": cursor_at(end, ordering, backwards=False) if end and has_next else None,
        "previous_cursor": (
            cursor_at(rows[0].position, ordering, backwards=True) if rows and has_previous else None
        ),
        "total_is_capped": total_is_capped,
    }


def numbered_rows(fetch: FetchRows, start: int, size: int, total: int | None) -> list[Row]:
    """The rows from `start`, counted from the end of the list where that is nearer.

    `total` is None where the end is not known.
    """
    if total is None:
        return fetch(limit=size, offset=start)
    size = min(size, total - start)
    after_page = total - start - size
    if start <= after_page:
        return fetch(limit=size, offset=start) if size else []
    return fetch(limit=size, offset=after_page, backwards=True)[::-1]


def before(unsettled: list[str], rows: list[Row]) -> list[Row]:
    since, until = unsettled
    return list(takewhile(lambda row: not since <= row.position[0] <= until, rows))


def cursor_at(position: list[str], ordering: Ordering, *, backwards: bool) -> str:
    return signing.dumps([*ordering, backwards, position], salt=__name__)


def read_cursor(cursor: str, ordering: Ordering) -> tuple[bool, list[str]]:
    """Raises ValidationError where the cursor is not ours or of a list in another order."""
    try:
        *sorted_by, backwards, position = signing.loads(cursor, salt=__name__)
    except signing.BadSignature:
        raise serializers.ValidationError({"cursor": ["Not a cursor of this list."]}) from None
    if Ordering(*sorted_by) != ordering:
        raise serializers.ValidationError(
            {"cursor": ["This cursor belongs to a list in another order."]}
        )
    return backwards, position
