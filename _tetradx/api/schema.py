"""The common parts of all routes in the OpenAPI schema: envelope, errors, request id."""

from http import HTTPStatus

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_field
from rest_framework import serializers

from .error_handlers import error_body
from .renderers import PlainRenderer, success_message

COMMON_ERRORS: dict[HTTPStatus, str | dict] = {
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


def refuses(*details: str | dict, code: int = HTTPStatus.BAD_REQUEST):
    """Adds the errors of a view's method to the schema."""

    def decorate(method):
        refusals = getattr(method, "refusals", {})
        method.refusals = {**refusals, HTTPStatus(code): [error_example(d, code) for d in details]}
        return method

    return decorate


def leads_to(operation_id: str, *, body: dict | None = None, **path: str):
    """Adds an OpenAPI link to the schema: an operation that takes values of the answer.

    `path` and `body` name the values by their place in the answer: "data/tests/0/test_id".
    """

    def decorate(method):
        link: dict[str, str | dict] = {"operationId": operation_id}
        if path:
            link["parameters"] = {name: from_answer(place) for name, place in path.items()}
        if body:
            link["requestBody"] = {name: from_answer(place) for name, place in body.items()}
        method.links = {operation_id: link, **getattr(method, "links", {})}
        return method

    return decorate


def from_answer(place: str) -> str:
    return f"$response.body#/{place}"


def error_example(detail: str | dict, code: int) -> OpenApiExample:
    name = detail if isinstance(detail, str) else next(iter(detail.values()))[0]
    return OpenApiExample(name, value=error_body(code, detail))


class EnvelopeSchema(AutoSchema):
    def get_tags(self) -> list[str]:
        app, *_, module = self.view.__module__.split(".")
        return ["users" if app == "authentication" else module]

    def _get_response_bodies(self, direction="response"):
        bodies = super()._get_response_bodies(direction)
        if PlainRenderer not in self.view.renderer_classes:
            bodies = {code: self.in_envelope(body) for code, body in bodies.items()}
        links = getattr(self.method_of_view(), "links", None)
        if links:
            for body in bodies.values():
                body["links"] = links
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
        envelope = {"status": "success", "message": message}
        properties = {key: {"type": "string", "enum": [text]} for key, text in envelope.items()}
        examples = {"Example": {"value": envelope}}
        if "content" in body:
            data = body["content"]["application/json"]
            properties["data"] = data["schema"]
            examples = {
                name: {**example, "value": {**envelope, "data": example["value"]}}
                for name, example in data["examples"].items()
            }
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        return {**body, "content": {"application/json": {"schema": schema, "examples": examples}}}

    def _map_serializer_field(self, field, direction, bypass_extensions=False):
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if not getattr(field, "allow_empty", True):
            schema["minItems"] = 1
        return schema

    def method_of_view(self):
        return getattr(self.view, self.method.lower())

    def refusals(self) -> dict[HTTPStatus, list[OpenApiExample]]:
        return getattr(self.method_of_view(), "refusals", {})

    def error_codes(self) -> set[HTTPStatus]:
        codes = {HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE, *self.refusals()}
        if self.view.authentication_classes:
            codes |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        if self.method in {"POST", "PUT"}:
            codes |= {
                HTTPStatus.CONFLICT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            }
        return codes

    def error_response(self, code: HTTPStatus, direction: str) -> dict:
        examples = self.refusals().get(code) or [error_example(COMMON_ERRORS[code], code)]
        response = OpenApiResponse(ErrorSerializer, description=code.phrase, examples=examples)
        return self._get_response_for_code(response, str(int(code)), direction=direction)
