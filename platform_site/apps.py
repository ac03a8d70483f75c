from __future__ import annotations

from django.apps import AppConfig


class PlatformSiteConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "platform_site"
    verbose_name = "Platform"
