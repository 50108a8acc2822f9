from django.apps import AppConfig


class MedicsConfig(AppConfig):
    name = "medics"
    verbose_name = "Laboratories"
