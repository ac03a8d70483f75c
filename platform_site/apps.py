from __future__ import annotations

from axes.apps import AppConfig as AxesConfig  # type: ignore[import-untyped]
from django.apps import AppConfig


class PlatformSiteConfig(AppConfig):
    default = True
    default_auto_field = "django.db.models.BigAutoField"
    name = "platform_site"
    verbose_name = "Platform"


class SignInsConfig(AxesConfig):  # type: ignore[misc] # axes is untyped
    """Who signed in, who failed, who is locked out."""

    verbose_name = "Sign-ins"
