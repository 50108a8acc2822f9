from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme


class SessionTokenScheme(SimpleJWTScheme):
    target_class = "authentication.authentication.SessionTokenAuthentication"
    name = "accessToken"
