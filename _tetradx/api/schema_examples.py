from collections.abc import Callable
from typing import TypeVar

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework.serializers import Serializer

SerializerClass = TypeVar("SerializerClass", bound=type[Serializer])


def example(value: dict) -> Callable[[SerializerClass], SerializerClass]:
    """Adds `value` to the schema as the example of the decorated form or answer."""
    return extend_schema_serializer(examples=[OpenApiExample("Example", value=value)])
