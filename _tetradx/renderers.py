from drf_orjson_renderer.renderers import ORJSONRenderer


class PlainRenderer(ORJSONRenderer):
    """For the two refresh routes, whose answers have no envelope."""


class EnvelopeRenderer(ORJSONRenderer):
    """Puts a view's data into the success envelope, with the view's `success_message`.

    Errors arrive here in their own envelope, from `_tetradx.error_handlers`.
    """

    def render(self, data, media_type=None, renderer_context=None):
        context = renderer_context or {}
        if not context["response"].exception:
            body = {"status": "success", "message": context["view"].success_message}
            data = body if data is None else {**body, "data": data}
        return super().render(data, media_type, renderer_context)
