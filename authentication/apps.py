from django.apps import AppConfig


class AuthenticationConfig(AppConfig):
    name = "authentication"
    verbose_name = "Users"

    def ready(self) -> None:
        from . import schema  # noqa: F401 (drf-spectacular learns of the scheme by its import)
