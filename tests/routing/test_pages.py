"""The routing, registry and admin pages as an operator without scripts uses them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from registry_app.audit import Actor
from registry_app.models import ApiKey, AuditEntry
from routing_app.models import DispatchRecord, Pool, RoutingRevision
from routing_app.services import draft, publish

if TYPE_CHECKING:
    from collections.abc import Callable

ACTOR = Actor.command("test")
pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture
def publisher(django_user_model: Any) -> Client:
    user = django_user_model.objects.create_user("pia", password="x" * 16, is_staff=True)
    user.groups.add(Group.objects.get(name="publisher"))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def record(assistant_id: str, pool: str) -> None:
    now = datetime.now(UTC)
    DispatchRecord.objects.create(
        received_at=now,
        ended_at=now,
        request_id="r",
        method="POST",
        path="/runs/wait",
        status=200,
        assistant_id=assistant_id,
        pool=pool,
    )


PAGES = (
    "/routing/", "/routing/publish", "/routing/explain", "/routing/explain?assistant_id=email_compose&version=live",
    "/routing/explain?assistant_id=email_compose&version=99", "/routing/revisions/1", "/routing/revisions/1/rollback",
    "/registry/", "/registry/graphs/email_compose", "/registry/audit",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("edited", [False, True])
def test_each_page_answers_before_and_after_an_edit(publisher: Client, path: str, edited: bool) -> None:
    if edited:
        draft.set_allowlist(slug="EMAIL", assistants=["email_compose", "nobody_knows"], actor=ACTOR)
        record("probe_email", "EMAIL")
    answer = publisher.get(path)
    assert answer.status_code == 200
    assert "style=" not in answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_sent_to_sign_in(client: Client, path: str) -> None:
    assert client.get(path).status_code == 302


def test_ticks_make_the_draft_and_publishing_makes_it_live(publisher: Client) -> None:
    graphs = re.findall(r'name="graph" value="(\w+)"', publisher.get("/routing/").content.decode())
    ticks = re.findall(r'value="(\w+@\w+)" checked', publisher.get("/routing/").content.decode())
    assert "email_compose@EMAIL" in ticks
    moved = [tick for tick in ticks if tick != "probe_email@EMAIL"] + ["probe_email@CLASSIFY"]
    answer = publisher.post("/routing/matrix", {"graph": graphs, "place": moved})
    assert (answer.status_code, answer["Location"]) == (303, "/routing/")
    assert publish.live_revision().version == 1  # type: ignore[union-attr]
    record("probe_email", "EMAIL")
    text = publisher.get("/routing/").content.decode()
    assert "moves probe_email to CLASSIFY" in text
    assert "<b>1</b> would go elsewhere" in text
    answer = publisher.post("/routing/publish", {"reason": "it classifies", "base_version": "1"})
    assert answer.status_code == 303
    revision = RoutingRevision.objects.get(version=2)
    assert (revision.author_name, revision.document["graphs"]["probe_email"]["pool"]) == (
        "user:pia",
        "CLASSIFY",
    )
    assert publisher.post("/routing/revisions/1/rollback", {"reason": "back"}).status_code == 303
    assert publish.live_revision().rollback_of == 1  # type: ignore[union-attr]


def test_two_tables_of_the_same_draft_keep_each_other_s_ticks(publisher: Client) -> None:
    text = publisher.get("/routing/").content.decode()
    graphs = re.findall(r'name="graph" value="(\w+)"', text)
    was = re.findall(r'name="was" value="(\w+@\w+)"', text)
    assert was == re.findall(r'value="(\w+@\w+)" checked', text)
    for place in ([*was, "probe_email@CORE"], [*was[1:], "probe_core@EMAIL"]):
        given = {"graph": graphs, "was": [*was, "ghost@NOWHERE"], "place": place}
        assert publisher.post("/routing/matrix", given).status_code == 303
    ticks = set(re.findall(r'value="(\w+@\w+)" checked', publisher.get("/routing/").content.decode()))
    assert ticks == {*was[1:], "probe_email@CORE", "probe_core@EMAIL"}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"reason": "", "base_version": "1"}, 422),
        ({"reason": "x", "base_version": "0"}, 409),
        ({"reason": "x", "base_version": "abc"}, 422),
        ({"reason": "x" * 2_001, "base_version": "1"}, 422),
        ({}, 422),
    ],
)
def test_a_bad_publication_shows_the_page_again_and_writes_nothing(
    publisher: Client, data: dict[str, str], status: int
) -> None:
    answer = publisher.post("/routing/publish", data)
    assert answer.status_code == status
    assert "Not published." in answer.content.decode()
    assert RoutingRevision.objects.count() == 1


def test_a_draft_on_an_older_revision_must_be_settled_first(publisher: Client) -> None:
    draft.save_pool(slug="EMAIL", changes={"queue": 7}, actor=ACTOR)
    publish.publish_routing(actor=ACTOR, reason="two", base_version=1)
    draft.save_pool(slug="EMAIL", changes={"queue": 9}, actor=ACTOR)
    publish.rollback(actor=ACTOR, reason="back", version=1)
    text = publisher.get("/routing/").content.decode()
    assert "The draft was made on v2, but v3 is live" in text
    assert "pools.EMAIL.limits.queue" in text
    assert publisher.post("/routing/publish", {"reason": "x", "base_version": "2"}).status_code == 409
    assert publisher.post("/routing/resolve", {"decision": "keep", "live_version": "2"}).status_code == 409
    assert publisher.post("/routing/resolve", {"decision": "keep", "live_version": "3"}).status_code == 303
    assert (
        publisher.post("/routing/publish", {"reason": "nine it is", "base_version": "3"}).status_code == 303
    )
    assert Pool.objects.get(pk="EMAIL").queue == 9


@pytest.mark.parametrize(
    "place", ["email_compose@NOWHERE", "ghost@EMAIL", "", "@", "a@b@c", "<script>@EMAIL"]
)
def test_a_tick_that_is_not_in_the_table_changes_nothing(publisher: Client, place: str) -> None:
    before = list(Pool.objects.get(pk="EMAIL").allowlist.values_list("assistant_id", flat=True))
    answer = publisher.post("/routing/matrix", {"graph": ["email_compose"], "place": [place]})
    assert answer.status_code == 422
    assert "<script>@" not in answer.content.decode()
    assert list(Pool.objects.get(pk="EMAIL").allowlist.values_list("assistant_id", flat=True)) == before


@pytest.mark.parametrize(
    ("group", "path", "status"),
    [
        ("viewer", "/routing/matrix", 403),
        ("viewer", "/routing/publish", 403),
        ("operator", "/routing/publish", 403),
        ("operator", "/routing/revisions/1/rollback", 403),
        ("publisher", "/routing/publish", 403),  # no CSRF token
    ],
)
def test_groups_and_csrf_hold(member: Callable[[str], Client], group: str, path: str, status: int) -> None:
    assert member(group).post(path, {"reason": "x", "base_version": "1"}).status_code == status
    assert RoutingRevision.objects.count() == 1


def test_the_explainer_answers_htmx_with_its_fragment(publisher: Client) -> None:
    answer = publisher.get(
        "/routing/explain",
        {"assistant_id": "email_compose", "version": "draft"},
        headers={"hx-request": "true"},
    )
    text = answer.content.decode()
    assert text.strip().startswith('<div id="routing-answer">')
    assert "it goes to <b>EMAIL</b>" in text


ADMIN = (
    "registry_app/graphrecord", "registry_app/apikey", "registry_app/auditentry", "registry_app/poolreport",
    "routing_app/pool", "routing_app/routingrevision", "routing_app/dispatchrecord",
)  # fmt: skip


@pytest.mark.parametrize("name", ADMIN)
def test_each_admin_list_answers(publisher: Client, name: str) -> None:
    assert publisher.get(f"/admin/{name}/").status_code == 200


def test_the_admin_edits_a_pool_and_its_allowlist_as_its_user(publisher: Client) -> None:
    page = publisher.get("/admin/routing_app/pool/EMAIL/change/")
    form = page.context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    formset = page.context["inline_admin_formsets"][0].formset
    data |= {f"{formset.prefix}-{name}": value for name, value in formset.management_form.initial.items()}
    for inner in formset.forms:
        data |= {inner.add_prefix(name): inner[name].value() or "" for name in inner.fields}
    data |= {"base_urls": "http://127.0.0.1:9,http://127.0.0.1:10", "concurrency": "8"}
    answer = publisher.post("/admin/routing_app/pool/EMAIL/change/", data)
    assert answer.status_code == 302, answer.content.decode()
    assert Pool.objects.get(pk="EMAIL").base_urls == ["http://127.0.0.1:9", "http://127.0.0.1:10"]
    entry = AuditEntry.objects.filter(model="routing_app_pool").latest("id")
    assert (entry.actor, entry.via) == ("user:pia", "admin")
    data["base_urls"] = "http://user:pw@host"
    refused = publisher.post("/admin/routing_app/pool/EMAIL/change/", data)
    assert "must not carry credentials" in str(refused.context["adminform"].form.errors)


def test_the_admin_issues_a_key_and_shows_it_once(publisher: Client) -> None:
    data = {"name": "crm", "scopes": ["runs"], "project": "", "trusted_tracing": "on"}
    answer = publisher.post("/admin/registry_app/apikey/add/", data, follow=True)
    raw = re.search(r"shown this once: (\S+)<", answer.content.decode())
    assert raw is not None
    key = ApiKey.objects.get(name="crm")
    assert (key.scopes, key.prefix) == (["runs"], raw[1][:8])
    assert raw[1] not in publisher.get(f"/admin/registry_app/apikey/{key.pk}/change/").content.decode()
    assert key.key_hash not in publisher.get(f"/admin/registry_app/apikey/{key.pk}/change/").content.decode()
