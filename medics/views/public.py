from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseNotModified
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
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

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet:
        """Returns the rows of the list, for the ids of its path.

        Raises BadRequest where an id names nothing.
        """
        raise NotImplementedError

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
        response = Response(rows, headers={"ETag": etag})
        conditional = get_conditional_response(request, etag=etag, response=response)
        # If-Match and If-Unmodified-Since guard changes; Django answers them here with a bare 412.
        return conditional if isinstance(conditional, HttpResponseNotModified) else response
