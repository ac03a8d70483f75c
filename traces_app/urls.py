from __future__ import annotations

from django.urls import path

from traces_app import views, views_compare, views_list, views_replay

app_name = "traces"
urlpatterns = [
    path("", views_list.action_list, name="list"),
    path("strips", views_list.strip_page, name="strips"),
    path("newer", views_list.newer, name="newer"),
    path("suggestions", views_list.suggestions, name="suggestions"),
    path("<str:any_id>/", views.trace, name="trace"),
    path("<str:any_id>/compare", views_compare.compare, name="compare"),
    path("<str:any_id>/runs/<uuid:run_id>", views.run, name="run"),
    path("<str:any_id>/runs/<uuid:run_id>/feedback", views.record, name="record"),
    path("<str:any_id>/runs/<uuid:run_id>/attachments/<path:name>", views.attachment, name="attachment"),
    path("<str:any_id>/runs/<uuid:run_id>/replay", views_replay.replay, name="replay"),
    path("<str:any_id>/hops/<path:step>", views.hop, name="hop"),
]
