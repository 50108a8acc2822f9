"""Pages of a list, by number or by cursor, in SQL: a page reads the rows that it shows."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from django.core import signing
from django.db.models import Model, Q, QuerySet
from rest_framework import serializers

MAX_PAGE_SIZE = 100


class PageForm(serializers.Serializer):
    """The query parameters that every paged list takes."""

    page_number = serializers.IntegerField(
        min_value=1, default=1, help_text="A page beyond the last is the last page."
    )
    page_size = serializers.IntegerField(
        min_value=1, default=10, help_text=f"Above {MAX_PAGE_SIZE} it is served as that."
    )
    cursor = serializers.CharField(
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


@dataclass(frozen=True)
class Ordering:
    """A total order of rows by `keys`, all in one direction; the last key is unique."""

    keys: tuple[str, ...]
    descending: bool

    def terms(self, *, backwards: bool = False) -> list[str]:
        sign = "-" if self.descending is not backwards else ""
        return [sign + key for key in self.keys]

    def beyond(self, position: list[str], *, backwards: bool) -> Q:
        """The rows after `position` (before it, where `backwards`).

        Written as `a <= x AND (a < x OR …)`, which an index on the keys answers at once; the
        plain OR would read all rows.
        """
        comparison = "lt" if self.descending is not backwards else "gt"
        condition = Q()
        for depth, (key, value) in enumerate(reversed(list(zip(self.keys, position, strict=True)))):
            strictly = Q((f"{key}__{comparison}", value))
            if depth == 0:
                condition = strictly
            else:
                condition = Q((f"{key}__{comparison}e", value)) & (strictly | condition)
        return condition

    def cursor(self, row: Model, *, backwards: bool) -> str:
        position = [str(getattr(row, key)) for key in self.keys]
        return signing.dumps([self.terms(), backwards, position], salt=__name__)

    def read_cursor(self, cursor: str) -> tuple[bool, list[str]]:
        """Raises ValidationError where the cursor is not ours or of a list in another order."""
        try:
            terms, backwards, position = signing.loads(cursor, salt=__name__)
        except signing.BadSignature:
            raise serializers.ValidationError({"cursor": ["Not a cursor of this list."]}) from None
        if terms != self.terms():
            raise serializers.ValidationError(
                {"cursor": ["This cursor belongs to a list in another order."]}
            )
        return backwards, position


def paginate(
    queryset: QuerySet[Any],
    *,
    ordering: Ordering,
    total: int,
    page_number: int,
    page_size: int,
    cursor: str | None = None,
) -> tuple[list[Any], dict[str, Any]]:
    """The rows of one page, and what `PaginationSerializer` describes."""
    total_pages = max(1, ceil(total / page_size))
    current_page = None
    if cursor is None:
        current_page = min(page_number, total_pages)
        start = (current_page - 1) * page_size
        rows = list(queryset.order_by(*ordering.terms())[start : start + page_size])
        has_previous, has_next = current_page > 1, current_page < total_pages
    else:
        backwards, position = ordering.read_cursor(cursor)
        found = queryset.filter(ordering.beyond(position, backwards=backwards)).order_by(
            *ordering.terms(backwards=backwards)
        )
        # One row more than the page shows whether there is another page.
        rows = list(found[: page_size + 1])
        has_more = len(rows) > page_size
        rows = rows[:page_size]
        # It was taken from a row on its other side, which is still there unless nothing is.
        has_previous, has_next = (has_more, bool(rows)) if backwards else (bool(rows), has_more)
        if backwards:
            rows.reverse()
    return rows, {
        "current_page": current_page,
        "page_size": page_size,
        "total_pages": total_pages,
        "total_referrals": total,
        "has_next": has_next,
        "has_previous": has_previous,
        "next_cursor": ordering.cursor(rows[-1], backwards=False) if has_next else None,
        "previous_cursor": (ordering.cursor(rows[0], backwards=True) if has_previous else None),
        "total_is_capped": False,
    }
