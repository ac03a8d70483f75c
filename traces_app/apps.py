from __future__ import annotations

from django.apps import AppConfig


class TracesConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "traces_app"
    verbose_name = "Traces"

    def ready(self) -> None:
        from traces_app import checks  # noqa: F401 - registers itself
