from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from .phone_numbers import AS_WRITTEN


class SessionTokenScheme(SimpleJWTScheme):
    target_class = "authentication.authentication.SessionTokenAuthentication"
    name = "accessToken"


class PhoneNumberFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "authentication.fields.PhoneNumberField"

    def map_serializer_field(self, auto_schema, direction):
        return {"type": "string", "pattern": f"^{AS_WRITTEN}$"}
