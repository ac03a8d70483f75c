from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from platform_site.patterns.trace import action
from routing_app.models import DispatchRecord
from tests.campaigns.conftest import campaign
from tests.routing.conftest import live, pools
from tests.traces.scenes import uid
from traces_app.stitch import STALL_AFTER
from traces_app.views_list import line_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from campaigns_app.models import Campaign

__all__ = ["campaign", "live", "pools"]  # fixtures of other tests


def test_strangers_are_sent_to_sign_in(db: None) -> None:
    for path in ("/", "/traces/", f"/traces/{uid('web-app')}/", "/diagnostics/", "/search", "/_patterns"):
        answer = Client().get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/login/")


def test_a_part_of_a_page_is_never_the_sign_in_page(db: None) -> None:
    part = Client(headers={"HX-Request": "true"})
    for path in ("/", "/traces/", "/fleet/"):
        answer = part.get(path)
        assert (answer.status_code, answer.headers["HX-Refresh"], answer.content) == (204, "true", b"")
    sent = part.post("/diagnostics/verify", {"assistant_id": "probe_core"})
    assert sent.status_code == 401
    assert "You are signed out, and nothing was done." in sent.content.decode()
    assert "<html" not in sent.content.decode()


def test_a_form_from_before_the_last_sign_in_says_so(admin_user: User) -> None:
    for headers, page in (({}, True), ({"HX-Request": "true"}, False)):
        client = Client(enforce_csrf_checks=True, headers=headers)
        client.force_login(admin_user)
        answer = client.post("/diagnostics/verify", {"assistant_id": "probe_core"})
        text = answer.content.decode()
        assert (answer.status_code, "<html" in text) == (403, page)
        assert "This form is from before you last signed in or out." in text
        assert "Your account may not" not in text


def test_clear_refusals(admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    assert client.get("/traces/?q=colour:red").status_code == 422
    for path in ("/traces/nothing-here/", f"/traces/{uid('absent')}/", "/diagnostics/how-to/no-such"):
        assert client.get(path).status_code == 404


def test_an_account_without_the_permission_is_told_so(django_user_model: type[User], db: None) -> None:
    client = Client()
    client.force_login(django_user_model.objects.create_user("nobody"))
    for path, permission in (
        ("/traces/", "traces_app.view_tracehead"),
        (f"/traces/{uid('web-app')}/", "traces_app.view_tracehead"),
        ("/diagnostics/", "traces_app.view_tracehead"),
        ("/registry/", "registry_app.view_graphrecord"),
        ("/registry/audit", "registry_app.view_auditentry"),
        ("/routing/", "routing_app.view_pool"),
        ("/fleet/", "routing_app.view_pool"),
        ("/feedback/", "feedback_app.view_feedback"),
        ("/campaigns/", "campaigns_app.view_campaign"),
        ("/campaigns/autumn/", "campaigns_app.view_campaign"),
        (f"/campaigns/enrollments/{uid('maya')}/", "campaigns_app.view_enrollment"),
        (f"/campaigns/touches/by-run/{uid('web-app')}", "campaigns_app.view_touch"),
        ("/campaigns/outbox/", "campaigns_app.view_touch"),
        ("/campaigns/ledger/", "campaigns_app.view_touch"),
        ("/campaigns/suppressions/", "campaigns_app.view_suppression"),
    ):
        answer = client.get(path)
        assert answer.status_code == 403
        assert f"needs the permission {permission}" in answer.text, path


def test_home_tells_sums_to_every_account_and_rows_to_who_may_read_them(
    live: int, django_user_model: type[User]
) -> None:
    DispatchRecord.objects.create(
        request_id="r", received_at=timezone.now(), ended_at=timezone.now(), caller="the-crm", status=503
    )
    somebody = django_user_model.objects.create_user("somebody")
    client = Client()
    client.force_login(somebody)
    text = client.get("/").text
    assert "the-crm" not in text
    assert text.count("Reading them needs traces_app.view_tracehead") == 2
    somebody.groups.set([Group.objects.get(name="viewer")])
    text = client.get("/").text
    assert "the-crm" in text
    assert "Reading them needs" not in text


def test_what_a_viewer_may_not_do_is_said_by_its_permission(
    live: int, campaign: Campaign, django_user_model: type[User]
) -> None:
    viewer = django_user_model.objects.create_user("viewer")
    viewer.groups.set([Group.objects.get(name="viewer")])
    client = Client()
    client.force_login(viewer)
    for path, permission in (
        ("/campaigns/", "campaigns_app.add_campaign"),
        ("/campaigns/autumn/", "campaigns_app.change_campaign"),
        ("/campaigns/suppressions/", "campaigns_app.add_suppression"),
        ("/diagnostics/", "traces_app.change_storedfinding"),
        ("/fleet/", "routing_app.add_breakerhold"),
        ("/registry/graphs/email_compose", "routing_app.add_dispatchrecord"),
    ):
        assert re.search(rf"(?i)needs? {permission}", client.get(path).text), path


def test_no_link_leads_past_the_door_of_the_admin(live: int, django_user_model: type[User]) -> None:
    publisher = django_user_model.objects.create_user("publisher")
    publisher.groups.set([Group.objects.get(name="publisher")])
    client = Client()
    client.force_login(publisher)
    pages = (
        "/",
        "/diagnostics/",
        "/feedback/",
        "/fleet/",
        "/registry/",
        "/registry/graphs/email_compose",
        "/routing/",
    )
    for staff in (False, True):
        publisher.is_staff = staff
        publisher.save()
        led = [path for path in pages if 'href="/admin/' in client.get(path).text]
        assert led == list(pages) * staff


def test_who_operates_may_run_a_graph_and_who_looks_may_not(db: None) -> None:
    may = Group.objects.filter(permissions__codename="add_dispatchrecord").order_by("name")
    assert [group.name for group in may] == ["operator", "publisher"]


def test_resolving_and_verifying_need_a_permission_and_name_what_is_wrong(
    admin_user: User, django_user_model: type[User]
) -> None:
    reader = django_user_model.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_tracehead"))
    client = Client()
    client.force_login(reader)
    assert client.post("/diagnostics/1/resolve").status_code == 403
    assert client.post("/diagnostics/verify", {"assistant_id": "probe_core"}).status_code == 403
    client.force_login(admin_user)
    assert client.post("/diagnostics/1/resolve").status_code == 404
    assert client.post("/diagnostics/verify", {"assistant_id": "no-probe"}).status_code == 422


def test_what_ingest_refused_is_one_step_from_diagnostics(
    admin_user: User, django_user_model: type[User]
) -> None:
    reader = django_user_model.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_tracehead"))
    client, there = Client(), b"/admin/traces_app/quarantine/"
    client.force_login(reader)
    assert there not in client.get("/diagnostics/").content
    client.force_login(admin_user)
    assert there in client.get("/diagnostics/").content
    assert client.get(there.decode()).status_code == 200


def test_a_poll_that_has_the_newest_gets_304(admin_user: User) -> None:
    client = Client(headers={"HX-Request": "true"})
    client.force_login(admin_user)
    first = client.get("/")
    again = client.get("/", headers={"If-None-Match": first["ETag"], "HX-Request": "true"})
    assert (first.status_code, again.status_code) == (200, 304)


def test_an_id_in_the_search_field_opens_its_action(admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    assert client.get(f"/search?q={uid('web-app')}")["Location"] == f"/traces/{uid('web-app')}/"
    assert client.get("/search?q=Lena")["Location"] == "/traces/?q=Lena"


def test_an_action_that_was_sent_just_now_is_awaited(admin_client: Client) -> None:
    def answer(made: float, version: int = 7) -> int:
        an_id = uuid.UUID(int=(int(made * 1000) << 80) | (version << 76) | (2 << 62) | 5)
        return admin_client.get(f"/traces/{an_id}/").status_code

    assert answer(time.time()) == 202
    assert answer(time.time() - 60) == 404
    assert answer(time.time() + 60) == 404
    assert answer(time.time(), version=4) == 404
    assert answer((2**48 - 1) / 1000) == 404
    page = admin_client.get(
        f"/traces/{uuid.UUID(int=(int(time.time() * 1000) << 80) | (7 << 76) | (2 << 62))}/"
    )
    assert '<meta http-equiv="refresh" content="1">' in page.content.decode()


def test_an_action_that_was_quiet_for_long_is_stalled_in_the_list_too() -> None:
    row = action("slow", "running", None)
    assert line_of(row, row.heard_at + STALL_AFTER).status == "running"
    assert line_of(row, row.heard_at + 2 * STALL_AFTER).status == "stalled"
    assert line_of(action("done", "ok", 2.0), row.heard_at + 2 * STALL_AFTER).status == "ok"


@pytest.mark.parametrize(
    "step", ["1f577c6e 39ff 4c10 9743 e853a0141c34", "1f57-7c6e39ff-4c10-9743-e853a0141c34"]
)
def test_a_step_whose_id_is_nearly_one_is_not_found(admin_client: Client, step: str) -> None:
    """The store takes ids in their usual form alone; what Python reads more kindly was an error of the database."""
    panel = {"HX-Request": "true", "HX-Target": "traces-panel"}
    path = f"/traces/1f577c6e-39ff-4c10-9743-e853a0141c34/hops/{step}"
    assert admin_client.get(path, headers=panel).status_code == 404
