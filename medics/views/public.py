from collections.abc import Callable

from django.db.models import QuerySet
from django.http import HttpResponseNotModified
from django.utils.decorators import method_decorator
from django.utils.http import parse_etags
from django.views.decorators.cache import cache_control
from rest_framework.response import Response

from _tetradx.cache.serializer import cached
from _tetradx.values.folding import SortKey
from authentication.views import PublicView

from ..models.catalogue import catalogue_version
from ..serializers.facilities import NamedRowSerializer


@method_decorator(cache_control(no_cache=True), name="dispatch")
class PublicListView(PublicView):
    """`[{id, name}]` by name.

    Its ETag is the catalogue's version: one small query answers 304 to a client that has it, and
    finds the list in the cache for one that has not.
    """

    # The rows of the list, for the ids of its path; raises BadRequest where they are of nothing.
    get_queryset: Callable[..., QuerySet]

    def list_by_name(self, request, **ids):
        version = catalogue_version()
        etag = f'"{version}"'
        rows = cached(
            ":".join([type(self).__name__, *map(str, ids.values()), version]),
            lambda: (
                NamedRowSerializer(
                    self.get_queryset(**ids).order_by(SortKey("name"), "id").only("id", "name"),
                    many=True,
                ).data
            ),
        )
        if {etag, "*"} & known_etags(request):
            return HttpResponseNotModified(headers={"ETag": etag})
        return Response(rows, headers={"ETag": etag})


def known_etags(request) -> set[str]:
    """What the client has, by If-None-Match, which compares weakly (RFC 9110, 13.1.2)."""
    return {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
