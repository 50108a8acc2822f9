from django.conf import settings
from django.contrib import admin
from django.urls import include, path, register_converter
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from _tetradx.api.converters import RowIdConverter

register_converter(RowIdConverter, "row_id")

# The page and its script apart: the content security policy allows no inline script.
docs = SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="_tetradx/docs.html")

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs/")),
    path("api/", include("authentication.urls")),
    path("api/medics/", include("medics.urls")),
    path("api/utilities/", include("medics.utilities_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", docs, name="docs"),
    path(settings.ADMIN_PATH, admin.site.urls),
]

if settings.DEBUG:
    urlpatterns += [path("__debug__/", include("debug_toolbar.urls"))]

handler400 = "_tetradx.api.error_handlers.bad_request"
handler403 = "_tetradx.api.error_handlers.permission_denied"
handler404 = "_tetradx.api.error_handlers.page_not_found"
handler500 = "_tetradx.api.error_handlers.server_error"
