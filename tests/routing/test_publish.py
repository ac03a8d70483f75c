"""Publishing: numbers, conflicts, checks, roll-back; on real PostgreSQL."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from contract.routing_document import parse
from registry_app.audit import Actor
from registry_app.models import AuditEntry, GraphRecord
from routing_app.models import AllowlistEntry, Pool, RoutingRevision
from routing_app.services import draft, publish

ACTOR = Actor.command("test")
pytestmark = pytest.mark.usefixtures("pools")


def first() -> RoutingRevision:
    return publish.publish_routing(actor=ACTOR, reason="first", base_version=0)


def test_the_first_revision_is_a_valid_document_of_every_graph() -> None:
    revision = first()
    document = parse(revision.document)
    assert revision.version == document["version"] == 1
    assert [route["prefix"] for route in document["routes"]] == ["EMAIL", "CLASSIFY", "DISCOVERY"]
    assert document["graphs"]["email_compose"]["pool"] == "EMAIL"
    assert document["graphs"]["lead_pipeline"]["pool"] == "CORE"
    assert not publish.pending_changes(publish.live_revision())


def test_a_publisher_who_has_not_seen_the_live_revision_is_refused() -> None:
    first()
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)
    publish.publish_routing(actor=ACTOR, reason="theirs", base_version=1)
    with pytest.raises(publish.StaleBase) as stale:
        publish.publish_routing(actor=ACTOR, reason="mine", base_version=1)
    assert (stale.value.base_version, stale.value.live_version) == (1, 2)
    assert "pools.EMAIL.allowlist.probe_email" in {change.path for change in stale.value.changes}
    assert RoutingRevision.objects.count() == 2


def test_an_id_in_two_enabled_pools_stops_the_publication_and_writes_nothing() -> None:
    first()
    AllowlistEntry.objects.create(pool_id="CLASSIFY", assistant_id="email_compose")
    with pytest.raises(
        publish.ChecksFailed, match="email_compose is on the allowlists of EMAIL and CLASSIFY"
    ):
        publish.publish_routing(actor=ACTOR, reason="no", base_version=1)
    assert RoutingRevision.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"base_urls": []}, "no_url"),
        ({"secret_env": "NOT_SET_ANYWHERE"}, "no_secret"),
    ],
)
def test_a_pool_that_cannot_be_called_stops_the_publication(change: dict[str, object], code: str) -> None:
    draft.save_pool(slug="EMAIL", changes=change, actor=ACTOR)
    assert code in {check.code for check in draft.check_draft() if check.level == "error"}


def test_an_unknown_id_is_an_error_and_an_unplaced_graph_a_warning() -> None:
    draft.set_allowlist(slug="EMAIL", assistants=["nobody_knows"], actor=ACTOR)
    codes = {(check.level, check.code) for check in draft.check_draft()}
    assert {("error", "unknown_id"), ("warning", "no_pool"), ("warning", "falls_to_core")} <= codes


def test_rolling_back_publishes_the_old_content_as_a_new_number_and_the_draft_follows() -> None:
    one = first()
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)
    publish.publish_routing(actor=ACTOR, reason="drop the probe", base_version=1)
    three = publish.rollback(actor=ACTOR, reason="the probe is needed", version=1)
    assert (three.version, three.digest, three.rollback_of) == (3, one.digest, 1)
    assert not publish.pending_changes(publish.live_revision())
    assert draft.base_version() == 3


def test_edits_made_before_a_roll_back_wait_for_a_decision() -> None:
    first()
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)
    publish.publish_routing(actor=ACTOR, reason="two", base_version=1)
    draft.save_pool(slug="EMAIL", changes={"concurrency": 8}, actor=ACTOR)
    publish.rollback(actor=ACTOR, reason="back", version=1)
    assert draft.base_version() == 2
    publish.resolve_draft(actor=ACTOR, decision="keep", live_version=3)
    entry = AuditEntry.objects.filter(model="routing_app_routingdraft").latest("id")
    assert (entry.actor, entry.reason, entry.before, entry.after) == (
        "command:test",
        "draft: keep",
        {"id": 1, "base_version": 2},
        {"id": 1, "base_version": 3},
    )
    publish.resolve_draft(actor=ACTOR, decision="discard", live_version=3)
    assert draft.base_version() == 3
    assert not publish.pending_changes(publish.live_revision())
    assert Pool.objects.get(pk="EMAIL").concurrency == 64


def test_a_moved_deployment_does_not_publish_an_operators_unfinished_edit(
    pools: dict[str, str], email_graphs: list[str]
) -> None:
    first()
    draft.set_allowlist(slug="EMAIL", assistants=email_graphs, actor=ACTOR)
    moved = pools | {"EMAIL": "http://127.0.0.1:9999"}
    draft.ensure_pools(moved)
    two = publish.publish_deployment(actor=ACTOR, reason="moved", urls=moved)
    email = two.document["routes"][0]
    assert (two.version, email["url"], email["assistants"]) == (
        2,
        "http://127.0.0.1:9999",
        sorted([*email_graphs, "probe_email"]),
    )
    assert publish.publish_deployment(actor=ACTOR, reason="again", urls=moved).version == 2
    assert [change.path for change in publish.pending_changes(publish.live_revision())] == [
        "graphs.probe_email.pool",
        "pools.EMAIL.allowlist.probe_email",
    ]


def test_a_revision_can_be_neither_changed_nor_deleted() -> None:
    revision = first()
    for act in (
        lambda: RoutingRevision.objects.filter(pk=revision.pk).update(reason="other"),
        lambda: revision.delete(),
        lambda: AuditEntry.objects.update(actor="nobody"),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            act()


def test_every_write_leaves_who_before_and_after() -> None:
    draft.save_pool(slug="EMAIL", changes={"concurrency": 8}, actor=ACTOR, reason="calm it")
    entry = AuditEntry.objects.filter(model="routing_app_pool", action="update").latest("id")
    assert (entry.actor, entry.reason, entry.object_id) == ("command:test", "calm it", "EMAIL")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["concurrency"], entry.after["concurrency"]) == (64, 8)


def test_a_removed_graph_is_not_put_back_by_the_next_start(pools: dict[str, str]) -> None:
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)
    draft.ensure_pools(pools)
    assert list(Pool.objects.get(pk="EMAIL").allowlist.values_list("assistant_id", flat=True)) == [
        "email_compose"
    ]
    assert GraphRecord.objects.filter(placed_at=None).count() == 0


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2_001, "a\x00b"])
def test_a_publication_needs_a_reason(reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        publish.publish_routing(actor=ACTOR, reason=reason, base_version=0)
    assert list(error.value.message_dict) == ["reason"]
    assert RoutingRevision.objects.count() == 0
