from __future__ import annotations

from django.urls import path

from traces_app import views

app_name = "traces"
urlpatterns = [
    path("", views.action_list, name="list"),
    path("<str:any_id>/", views.trace, name="trace"),
    path("<str:any_id>/runs/<uuid:run_id>", views.run, name="run"),
    path("<str:any_id>/runs/<uuid:run_id>/feedback", views.record, name="record"),
    path("<str:any_id>/hops/<path:step>", views.hop, name="hop"),
]
