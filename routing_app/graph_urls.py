from __future__ import annotations

from django.urls import path

from routing_app import graph_views

app_name = "registry"
urlpatterns = [
    path("", graph_views.graph_list, name="graphs"),
    path("graphs/<slug:assistant_id>", graph_views.graph_detail, name="graph"),
    path("audit", graph_views.audit_list, name="audit"),
]
