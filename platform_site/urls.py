"""Every address Django serves; the dispatcher's and the ingest's are switched off before, in `asgi.py`."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, include, path

from platform_site import views
from platform_site.api import api
from routing_app.views_export import routing_json
from traces_app import views_diagnostics as diagnostics

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("registry/", include("routing_app.graph_urls")),
    path("routing/", include("routing_app.urls")),
    path("routing.json", routing_json, name="routing-json"),
    path("", views.home, name="home"),
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("campaigns/", include("campaigns_app.urls")),
    path("feedback/", include("feedback_app.urls")),
    path("fleet/", include("routing_app.fleet_urls")),
    path("traces/", include("traces_app.urls")),
    path("diagnostics/", diagnostics.diagnostics, name="diagnostics"),
    path("diagnostics/how-to/<slug:code>", diagnostics.how_to, name="how-to"),
    path("diagnostics/verify", diagnostics.verify, name="verify"),
    path("diagnostics/<int:pk>/resolve", diagnostics.resolve, name="resolve-finding"),
    path("search", views.search, name="search"),
    path("keys", views.keys, name="keys"),
    path("_patterns", views.pattern_sheet, name="patterns"),
]
handler403 = views.permission_denied
handler404 = views.page_not_found
handler500 = views.server_error
