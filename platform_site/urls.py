"""Every address Django serves; the dispatcher's and the ingest's are switched off before, in `asgi.py`."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from platform_site.api import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/", api.urls),
]
