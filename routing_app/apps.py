from __future__ import annotations

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "routing_app"
    verbose_name = "Routing"

    def ready(self) -> None:
        from routing_app import checks  # noqa: F401 - importing registers them
