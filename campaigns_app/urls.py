from __future__ import annotations

from django.urls import path, re_path

from campaigns_app import views

app_name = "campaigns"
urlpatterns = [
    path("", views.campaign_list, name="list"),
    path("ledger/", views.ledger_page, name="ledger"),
    path("enrollments/<uuid:pk>/", views.enrollment_detail, name="enrollment"),
    path("touches/<uuid:pk>/reply", views.mark_reply, name="mark-reply"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("<slug:slug>/", views.campaign_detail, name="detail"),
    re_path(r"^(?P<slug>[-\w]+)/(?P<action>activate|pause)$", views.campaign_switch, name="switch"),
]
