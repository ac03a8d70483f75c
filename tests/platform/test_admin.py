"""What every admin list and page of ours keeps: it opens, machine-made rows are read-only, history is the audit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axes.models import AccessAttempt  # type: ignore[import-untyped]
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback_app.services import submit_feedback
from registry_app import admin_base
from registry_app.audit import Actor
from registry_app.sync import sync_registry
from routing_app.models import DispatchRecord, Pool
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


def test_a_list_of_machine_made_rows_counts_as_far_as_it_pages(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_base, "MOST", 3)
    for at in range(5):
        submit_feedback(run_id=f"00000000-0000-4000-8000-00000000000{at}", key="helpful", score=1)
    path = reverse("admin:feedback_app_feedback_changelist")
    assert "3 or more feedback" in admin_client.get(path).content.decode()
    assert (
        "1 feedback" in admin_client.get(path, {"q": "00000000-0000-4000-8000-000000000004"}).content.decode()
    )
    assert "3 or more feedback" in admin_client.get(path, {"key": "helpful"}).content.decode()


@pytest.mark.parametrize(
    ("query", "shown"), [("outcome=failed", "bad"), ("outcome=ok", "good"), ("pool=EMAIL", "good")]
)
def test_dispatch_records_are_filtered_by_pool_and_outcome(
    admin_client: Client, query: str, shown: str
) -> None:
    now = timezone.now()
    Pool.objects.get_or_create(slug="EMAIL")
    common: dict[str, Any] = {"received_at": now, "ended_at": now, "status": 200}
    DispatchRecord.objects.create(**common, assistant_id="good", pool="EMAIL")
    DispatchRecord.objects.create(**common, assistant_id="bad", pool="CORE", error_kind="backend")
    page = admin_client.get(
        reverse("admin:routing_app_dispatchrecord_changelist") + f"?{query}"
    ).content.decode()
    assert {name for name in ("good", "bad") if f">{name}<" in page} == {shown}
