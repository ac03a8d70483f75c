from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RegistryConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "registry_app"
    verbose_name = "Registry"

    def ready(self) -> None:
        from registry_app.groups import grant

        post_migrate.connect(grant, dispatch_uid="registry_app.groups")
