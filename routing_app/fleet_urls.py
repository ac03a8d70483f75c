from __future__ import annotations

from django.urls import path

from routing_app import fleet_views

app_name = "fleet"
urlpatterns = [
    path("", fleet_views.fleet_view, name="fleet"),
    path("breakers/<str:slug>", fleet_views.breaker_view, name="breaker"),
    path("breakers/<str:slug>/release", fleet_views.release_view, name="release"),
    path("drill", fleet_views.drill_view, name="drill"),
    path("drills/<int:report_id>", fleet_views.report_view, name="report"),
]
