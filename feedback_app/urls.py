from __future__ import annotations

from django.urls import path

from feedback_app import views

app_name = "feedback"
urlpatterns = [path("", views.feedback_list, name="list")]
