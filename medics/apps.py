from django.apps import AppConfig


class MedicsConfig(AppConfig):
    name = "medics"
    verbose_name = "Laboratories"

    def ready(self) -> None:
        from . import metrics  # noqa: F401 (/metrics learns of them by its import)
