from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AuthenticationConfig(AppConfig):
    name = "authentication"
    verbose_name = "Users"
    default = True

    def ready(self) -> None:
        from . import schema  # noqa: F401 (drf-spectacular learns of the scheme by its import)


class AdminConfig(admin_apps.AdminConfig):
    """Stands in INSTALLED_APPS in the place of django.contrib.admin."""

    default = False
    default_site = "authentication.admin_site.AdminSite"
