from __future__ import annotations

from django.urls import path, re_path

from campaigns_app import views, views_operate

app_name = "campaigns"
urlpatterns = [
    path("", views.campaign_list, name="list"),
    path("new", views_operate.campaign_new, name="new"),
    path("ledger/", views.ledger_page, name="ledger"),
    path("outbox/", views_operate.outbox, name="outbox"),
    path("suppressions/", views_operate.suppression_list, name="suppressions"),
    path("suppressions/add", views_operate.suppression_add, name="suppress"),
    path("suppressions/remove", views_operate.suppression_remove, name="unsuppress"),
    path("enrollments/<uuid:pk>/", views.enrollment_detail, name="enrollment"),
    path("touches/by-run/<uuid:run_id>", views.touch_of_run, name="touch-of-run"),
    path("touches/<uuid:pk>/reply", views.mark_reply, name="mark-reply"),
    re_path(
        r"^touches/(?P<pk>[0-9a-f-]{36})/(?P<what>sent|not-sent)$",
        views_operate.touch_resolve,
        name="resolve",
    ),
    re_path(
        r"^messages/(?P<pk>[0-9]{1,18})/(?P<kind>reply|out_of_office|unsubscribe|hard_bounce)$",
        views_operate.message_settle,
        name="settle",
    ),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("<slug:slug>/", views.campaign_detail, name="detail"),
    path("<slug:slug>/edit", views_operate.campaign_edit, name="edit"),
    path("<slug:slug>/import", views_operate.campaign_import, name="import"),
    path("<slug:slug>/start", views_operate.campaign_start, name="start"),
    path("<slug:slug>/pause", views_operate.campaign_pause, name="pause"),
    re_path(
        r"^(?P<slug>[-\w]+)/act/(?P<action>pause|resume|skip|stop)$", views_operate.campaign_act, name="act"
    ),
]
