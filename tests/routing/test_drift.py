"""Drift: each of the ten kinds, and the same finding in all the places that show it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import Client

from registry_app.drift import REMEDIES, Facts, PoolState, RecordState, find_drift
from registry_app.models import GraphRecord, PoolReport
from registry_app.sync import sync_registry
from routing_app.models import AllowlistEntry
from routing_app.selectors import current_drift
from routing_app.services import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User

HOME_DRIFT = {"HX-Request": "true", "HX-Target": "home-drift"}
CALM = Facts(
    code={"a": ("row", "graph"), "b": ("row", "graph")},
    records=(RecordState("a", "row", "graph"), RecordState("b", "row", "graph")),
    pools=(PoolState("CORE", ("a", "b"), {"a": "graph", "b": "graph"}),),
    live={"graphs": {"a": {"enabled": True}, "b": {"enabled": True}}},
)
A, B = CALM.records
(CORE,) = CALM.pools
CASES: dict[str, dict[str, Any]] = {
    "new_in_code": {"records": (A,)},
    "missing_in_code": {
        "code": {"a": ("row", "graph")},
        "pools": (PoolState("CORE", ("a",)),),
        "records": (A, replace(B, missing=True)),
    },
    "spec_changed": {"records": (A, replace(B, graph_digest="other"))},
    "unrouted": {"pools": (replace(CORE, assistants=("a",)),)},
    "allowlisted_unknown": {"pools": (PoolState("CORE", ("a", "b", "nobody")),)},
    "allowlisted_twice": {"pools": (CORE, PoolState("EMAIL", ("b",)))},
    "disabled_but_live": {"records": (A, replace(B, enabled=False))},
    "pool_lacks_graph": {"pools": (replace(CORE, attested={"a": "graph", "b": ""}),)},
    "pool_has_old_spec": {"pools": (replace(CORE, attested={"a": "graph", "b": "old"}),)},
    "unpublished_draft": {"unpublished": 2},
}
SUBJECTS = {"allowlisted_unknown": "nobody", "unpublished_draft": "draft"}


def test_agreement_is_no_drift() -> None:
    assert find_drift(CALM) == []
    assert set(CASES) == set(REMEDIES)


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_found_alone_and_says_what_to_do(kind: str) -> None:
    (found,) = find_drift(replace(CALM, **CASES[kind]))
    assert (found.kind, found.subject) == (kind, SUBJECTS.get(kind, "b"))
    assert found.message.endswith(".")
    assert found.remedy.endswith(".")


@pytest.fixture
def drifting(live: int) -> set[str]:
    """The database after somebody did each wrong thing that can be done to it."""
    report = dict.fromkeys(
        AllowlistEntry.objects.filter(pool_id="EMAIL").values_list("assistant_id", flat=True), "0" * 64
    )
    PoolReport.objects.create(
        pool="EMAIL", url="http://e", ok=True, reported_at="2026-11-22T00:00:00Z", graphs=report
    )
    PoolReport.objects.create(
        pool="DISCOVERY", url="http://d", ok=True, reported_at="2026-11-22T00:00:00Z", graphs={}
    )
    GraphRecord.objects.filter(pk="probe_core").delete()
    GraphRecord.objects.create(
        assistant_id="gone", module="m", home_pool="CORE", input_shape="probe", input_schema={}, spec_digest="0",
        synced_at="2026-11-22T00:00:00Z",
    )  # fmt: skip
    GraphRecord.objects.filter(pk="email_reply").update(spec_digest="0" * 64)
    GraphRecord.objects.filter(pk="email_followup").update(enabled=False, disabled_reason="quota")
    AllowlistEntry.objects.filter(assistant_id="score_lead").delete()
    AllowlistEntry.objects.create(pool_id="EMAIL", assistant_id="nobody_knows")
    AllowlistEntry.objects.create(pool_id="CLASSIFY", assistant_id="email_compose")
    return set(REMEDIES)


def test_every_kind_is_seen_in_every_place(
    drifting: set[str],
    admin_client: Client,
    keyed: Callable[..., Client],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = current_drift()
    assert {item.kind for item in found} == drifting

    for page, headers in (("/", HOME_DRIFT), ("/registry/", {}), ("/admin/registry_app/graphrecord/", {})):
        text = admin_client.get(page, headers=headers).content.decode()
        assert not [kind for kind in drifting if kind not in text], page
    rows = admin_client.get("/admin/registry_app/graphrecord/").content.decode().split("<tr>")
    assert [row for row in rows if ">email_reply<" in row and "spec_changed" in row]
    assert not [row for row in rows if ">probe_email<" in row and "spec_changed" in row]

    metrics = keyed("read").get("/api/routing/metrics").content.decode()
    for kind in drifting:
        count = sum(item.kind == kind for item in found)
        assert f'registry_drift{{kind="{kind}"}} {count}\n' in metrics

    with pytest.raises(CommandError, match=f"{len(found)} found"):
        call_command("drift")
    printed = capsys.readouterr().out
    assert not [kind for kind in drifting if f"{kind}: " not in printed]

    with pytest.raises(SystemCheckError) as refused:
        call_command("check", databases=["default"], fail_level="WARNING")
    shown = str(refused.value)
    assert shown.count("registry_app.W001") + shown.count("routing_app.E001") == len(found)


def test_agreement_is_said_in_every_place(
    live: int, admin_client: Client, keyed: Callable[..., Client], capsys: pytest.CaptureFixture[str]
) -> None:
    assert current_drift() == []
    for page in ("/registry/", "/admin/registry_app/graphrecord/"):
        assert "live routing and pools agree" in admin_client.get(page).content.decode(), page
    assert "live routing and pools agree" in admin_client.get("/", headers=HOME_DRIFT).content.decode()
    metrics = keyed("read").get("/api/routing/metrics").content.decode()
    assert [line[-2:] for line in metrics.splitlines() if line.startswith("registry_drift{")] == [" 0"] * 10
    assert "routing_published_version 1\n" in metrics
    call_command("drift")
    assert "agree" in capsys.readouterr().out


def test_home_asks_for_drift_by_itself_and_of_those_who_may_see_it(
    live: int, admin_client: Client, django_user_model: type[User]
) -> None:
    for headers in ({}, {"hx-request": "true"}):
        assert "registry-drift" not in admin_client.get("/", headers=headers).content.decode()
    assert "registry-drift" in admin_client.get("/", headers=HOME_DRIFT).content.decode()
    stranger = Client()
    stranger.force_login(django_user_model.objects.create_user("stranger"))
    assert "home-drift" not in stranger.get("/").content.decode()
    assert stranger.get("/", headers=HOME_DRIFT).status_code == 403


def test_sync_check_changes_nothing_and_fails_until_it_is_synced(
    drifting: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(GraphRecord.objects.values())
    with pytest.raises(
        CommandError, match=r"New: probe_core\. Changed: email_reply\. Missing in code: gone\."
    ):
        call_command("sync_registry", check=True)
    assert list(GraphRecord.objects.values()) == before
    call_command("sync_registry")
    call_command("sync_registry", check=True)
    assert "The records are what the code says." in capsys.readouterr().out
    assert GraphRecord.objects.get(pk="gone").missing_since is not None
    assert GraphRecord.objects.get(pk="email_followup").enabled is False  # an operator's word stays
    assert not sync_registry()


def test_the_export_command_prints_a_revision_and_tells_a_changed_draft(
    live: int, capsys: pytest.CaptureFixture[str]
) -> None:
    from contract.routing_document import parse
    from tests.routing.conftest import ACTOR

    call_command("export_routing")
    assert parse(capsys.readouterr().out)["version"] == 1
    call_command("export_routing", check=True)
    assert "Revision 1 is sound" in capsys.readouterr().out
    AllowlistEntry.objects.filter(assistant_id="probe_email").delete()
    with pytest.raises(
        CommandError, match=r"differs from revision 1: .*pools\.EMAIL\.allowlist\.probe_email"
    ):
        call_command("export_routing", check=True)
    publish.publish_routing(actor=ACTOR, reason="two", base_version=1)
    call_command("export_routing", revision=1)
    assert "probe_email" in str(parse(capsys.readouterr().out)["routes"][0]["assistants"])
    with pytest.raises(CommandError, match="There is no revision 9"):
        call_command("export_routing", revision=9)


def test_before_the_first_publication_there_is_nothing_to_export(pools: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="Nothing has been published yet"):
        call_command("export_routing")
