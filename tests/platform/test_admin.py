"""What every admin list and page of ours keeps: it opens, machine-made rows are read-only, history is the audit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axes.models import AccessAttempt  # type: ignore[import-untyped]
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from registry_app.audit import Actor
from registry_app.sync import sync_registry
from routing_app.models import Pool
from routing_app.services import draft

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MACHINE_MADE = {
    "accessattempt", "accesslog", "accessfailurelog", "enrollment", "touch", "inboundevent", "delivery", "feedback",
    "auditentry", "poolreport", "breakerhold", "dispatchrecord", "drillreport", "routingrevision", "project",
    "quarantine",
}  # fmt: skip


def test_every_list_opens_and_rows_of_machines_have_no_form(admin_client: Client) -> None:
    read_only = set()
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert admin_client.get(reverse(f"{base}_changelist")).status_code == 200
        if admin_client.get(reverse(f"{base}_add")).status_code == 403:
            read_only.add(model._meta.model_name)
    assert read_only == MACHINE_MADE | {"graphrecord"}  # graphs come from the code


def test_the_history_of_a_pool_names_who_changed_its_allowlist(
    admin_client: Client, admin_user: User
) -> None:
    sync_registry()
    draft.ensure_pools({"EMAIL": "http://127.0.0.1:9001", "CORE": "http://127.0.0.1:9000"})
    places: dict[str, list[str]] = {slug: [] for slug in Pool.objects.values_list("slug", flat=True)} | {
        "EMAIL": ["probe_email"]
    }
    draft.set_matrix(placements=places, actor=Actor("user:mara", "page"))
    page = admin_client.get(reverse("admin:routing_app_pool_history", args=["EMAIL"]), follow=True)
    text = re.sub(r"<[^>]+>|\s+", " ", page.content.decode())
    assert page.status_code == 200
    assert re.search(r"user:mara +delete +allowlistentry +EMAIL +email_compose", text)
    assert "allowlistentry CORE" not in text


@pytest.mark.parametrize("right", [True, False])
def test_who_is_locked_out_is_let_in_by_an_administrator(
    admin_client: Client, admin_user: User, right: bool
) -> None:
    stranger = Client()
    for _ in range(11):
        refused = stranger.post("/login/", {"username": admin_user.username, "password": "wrong"})
    assert refused.status_code == 429
    if not right:
        admin_user.is_superuser = False
        admin_user.save()
    admin_client.post(
        reverse("admin:axes_accessattempt_changelist"),
        {"action": "let_in", "_selected_action": [one.pk for one in AccessAttempt.objects.all()]},
    )
    assert AccessAttempt.objects.exists() is not right
    answer = stranger.post("/login/", {"username": admin_user.username, "password": "password"})
    assert answer.status_code == (302 if right else 429)
