from __future__ import annotations

from django.urls import path

from routing_app import views

app_name = "routing"
urlpatterns = [
    path("", views.draft_view, name="draft"),
    path("matrix", views.save_matrix, name="matrix"),
    path("publish", views.publish_view, name="publish"),
    path("resolve", views.resolve_view, name="resolve"),
    path("probe", views.probe_view, name="probe"),
    path("explain", views.explain_view, name="explain"),
    path("revisions/<int:version>", views.revision_view, name="revision"),
    path("revisions/<int:version>/rollback", views.rollback_view, name="rollback"),
]
