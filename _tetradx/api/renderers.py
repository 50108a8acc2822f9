from drf_orjson_renderer.renderers import ORJSONRenderer


class PlainRenderer(ORJSONRenderer):
    """Renders the two refresh routes, which have no envelope, and errors, which have their own."""


def success_message(view, method: str) -> str:
    """The message of the view's method. A view whose methods differ holds a dict by method."""
    message = view.success_message
    return message if isinstance(message, str) else message["GET" if method == "HEAD" else method]


class EnvelopeRenderer(ORJSONRenderer):
    """Puts a view's data into the success envelope, with the view's `success_message`.

    Errors arrive here in their own envelope, from `_tetradx.api.error_handlers`.
    """

    def render(self, data, media_type=None, renderer_context=None):
        context = renderer_context or {}
        if not context["response"].exception:
            message = success_message(context["view"], context["request"].method)
            body = {"status": "success", "message": message}
            data = body if data is None else {**body, "data": data}
        return super().render(data, media_type, renderer_context)
