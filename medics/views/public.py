from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from rest_framework.response import Response

from authentication.views import PublicView

from ..serializers.facilities import NamedRowSerializer


@method_decorator([conditional_page, cache_control(no_cache=True)], name="dispatch")
class PublicListView(PublicView):
    """`[{id, name}]` by name, with an ETag that a client can ask again with."""

    def list_by_name(self, queryset: QuerySet) -> Response:
        rows = queryset.order_by(Lower("name"), "id").only("id", "name")
        return Response(NamedRowSerializer(rows, many=True).data)
