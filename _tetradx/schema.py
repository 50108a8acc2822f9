"""How the OpenAPI schema shows what is common to all routes: envelope, errors, request id."""

from http import HTTPStatus

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_field
from rest_framework import serializers

from .error_handlers import error_body
from .renderers import PlainRenderer, success_message

COMMON_ERRORS = {
    HTTPStatus.BAD_REQUEST: {"a_field": ["This field is required."]},
    HTTPStatus.UNAUTHORIZED: "Authentication credentials were not provided.",
    HTTPStatus.FORBIDDEN: "Change your password before you go on.",
    HTTPStatus.CONFLICT: "This was changed by somebody else at the same time. Try again.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: 'Unsupported media type "text/plain" in request.',
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "The service cannot answer just now. Try again in a few seconds."
    ),
}


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        ]
    }
)
class ErrorDetailField(serializers.Field):
    """One sentence, or sentences by field."""


class ErrorSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["error"])
    code = serializers.CharField(help_text="The HTTP status.")
    detail = ErrorDetailField()


def error_example(detail: str | dict, code: int = HTTPStatus.BAD_REQUEST) -> OpenApiExample:
    """For `extend_schema(examples=…)`: what a route says of a fault of its own."""
    name = detail if isinstance(detail, str) else next(iter(detail.values()))[0]
    return OpenApiExample(
        name, value=error_body(code, detail), response_only=True, status_codes=[str(int(code))]
    )


class EnvelopeSchema(AutoSchema):
    def get_tags(self) -> list[str]:
        app, *_, module = self.view.__module__.split(".")
        return ["users" if app == "authentication" else module]

    def _get_response_bodies(self, direction="response"):
        bodies = super()._get_response_bodies(direction)
        if PlainRenderer not in self.view.renderer_classes:
            bodies = {code: self.in_envelope(body) for code, body in bodies.items()}
        for code in self.error_codes():
            bodies[str(int(code))] = self.error_response(code, direction)
        for body in bodies.values():
            body["headers"] = {
                "X-Request-ID": {
                    "schema": {"type": "string"},
                    "description": "The id of this request in the logs.",
                }
            }
        return dict(sorted(bodies.items()))

    def in_envelope(self, body: dict) -> dict:
        message = success_message(self.view, self.method)
        properties = {
            "status": {"type": "string", "enum": ["success"]},
            "message": {"type": "string", "enum": [message]},
        }
        content = body.get("content", {}).get("application/json", {})
        if content:
            properties["data"] = content["schema"]
        examples = {
            name: {**example, "value": {"status": "success", "message": message, "data": value}}
            for name, example in content.get("examples", {}).items()
            for value in [example["value"]]
        }
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        media = {"schema": schema, "examples": examples} if examples else {"schema": schema}
        return {**body, "content": {"application/json": media}}

    def error_codes(self) -> list[HTTPStatus]:
        codes = [HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE]
        if self.view.authentication_classes:
            codes += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
        if self.method in {"POST", "PUT"}:
            codes += [
                HTTPStatus.CONFLICT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            ]
        return [*codes, *map(HTTPStatus, getattr(self.view, "further_errors", ()))]

    def error_response(self, code: HTTPStatus, direction: str) -> dict:
        response = OpenApiResponse(ErrorSerializer, description=code.phrase)
        body = self._get_response_for_code(response, str(int(code)), direction=direction)
        example = {"value": error_body(code, COMMON_ERRORS[code])}
        body["content"]["application/json"].setdefault("examples", {code.phrase: example})
        return body
