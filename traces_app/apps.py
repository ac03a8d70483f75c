from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class TracesConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "traces_app"
    verbose_name = "Traces"

    def ready(self) -> None:
        from feedback_app import services as feedback
        from traces_app import checks  # noqa: F401 - registers itself

        feedback.redact = _redacted


def _redacted(value: Any, project: str) -> Any:
    from traces_app.services import redacted

    return redacted(value, project)
