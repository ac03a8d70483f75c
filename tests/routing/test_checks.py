"""Each check at publish, on facts; and what real pools say when they are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from registry_app.models import PoolReport
from routing_app.models import Pool
from routing_app.probes import ask, probe_pools
from routing_app.services import draft, publish
from routing_app.services.checks import Report, run_checks
from routing_app.services.document import LIMITS, GraphFacts, PoolFacts
from tests.routing.conftest import ACTOR
from tests.worker.conftest import SECRET, start_worker
from traces_app.models import StoredFinding
from traces_app.tasks import find_refused_calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.worker.conftest import Server

CORE = PoolFacts("CORE", ("http://c",), "CORE_SECRET", True, ("a",), dict.fromkeys(LIMITS, 1))
EMAIL = PoolFacts("EMAIL", ("http://e",), "EMAIL_SECRET", True, ("b",), dict.fromkeys(LIMITS, 1))
A, B = (
    GraphFacts(
        assistant_id=name,
        home_pool=pool,
        enabled=True,
        disabled_reason="",
        resumable=False,
        input_schema={},
        graph_digest="",
        sampling=None,
        timeout_s=None,
    )
    for name, pool in (("a", "CORE"), ("b", "EMAIL"))
)
GOOD = Report("EMAIL", "http://e", True, "", {"b": "d"})


def codes(
    pools: tuple[PoolFacts, ...] = (CORE, EMAIL),
    graphs: tuple[GraphFacts, ...] = (A, B),
    reports: tuple[Report, ...] = (),
    missing: str = "",
) -> dict[str, tuple[str, str]]:
    found = run_checks(pools, graphs, has_variable=lambda name: name != missing, reports=reports)
    return {check.code: (check.level, check.field) for check in found}


def test_a_sound_draft_has_no_findings() -> None:
    assert codes(reports=(GOOD,)) == {}


@pytest.mark.parametrize(
    ("given", "code", "level", "field"),
    [
        ({"graphs": (A, B, replace(B, home_pool="CORE"))}, "duplicate_id", "error", "graphs.b"),
        ({"pools": (EMAIL, replace(CORE, assistants=("a", "b")))}, "in_two_pools", "error", "pools.CORE.allowlist.b"),
        ({"pools": (CORE, replace(EMAIL, assistants=("b", "x")))}, "unknown_id", "error", "pools.EMAIL.allowlist.x"),
        ({"pools": (EMAIL, replace(CORE, enabled=False))}, "no_core", "error", "pools.CORE"),
        ({"pools": (CORE, replace(EMAIL, urls=()))}, "no_url", "error", "pools.EMAIL.base_urls"),
        ({"missing": "EMAIL_SECRET"}, "no_secret", "error", "pools.EMAIL.secret_env"),
        ({"pools": (CORE, replace(EMAIL, secret_env=""))}, "open_pool", "warning", "pools.EMAIL.secret_env"),
        ({"pools": (CORE, replace(EMAIL, assistants=()))}, "no_pool", "warning", "graphs.b"),
        ({"pools": (CORE, replace(EMAIL, assistants=()))}, "falls_to_core", "warning", "graphs.b"),
        (
            {"reports": (replace(GOOD, ok=False, error="no answer in 3 s"),)},
            "unreachable",
            "warning",
            "pools.EMAIL.base_urls",
        ),
        ({"reports": (replace(GOOD, graphs={"b": ""}),)}, "not_served", "warning", "pools.EMAIL.allowlist.b"),
    ],
)  # fmt: skip
def test_each_check_names_its_field(given: dict[str, object], code: str, level: str, field: str) -> None:
    assert codes(**given)[code] == (level, field)  # type: ignore[arg-type]


def test_errors_come_first() -> None:
    levels = [level for level, _ in codes((CORE, replace(EMAIL, secret_env="", urls=()))).values()]
    assert levels == sorted(levels)


@pytest.fixture(scope="module")
def email_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_worker(tmp_path_factory.mktemp("pool") / "log")
    yield server
    server.stop()


@pytest.mark.processes
def test_a_real_pool_says_what_it_serves_and_the_checks_hear_it(
    pools: dict[str, str], email_worker: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMAIL_WORKER_SECRET", SECRET)
    Pool.objects.filter(pk="EMAIL").update(base_urls=[email_worker.url])
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose", "score_lead"], actor=ACTOR)
    (answer,) = probe_pools(["EMAIL"])
    assert answer.error == ""
    assert len(answer.graphs["email_compose"]) == 64
    assert answer.graphs["broken"] == ""  # a module that does not import is not served
    found = {check.code: check for check in draft.check_draft()}
    assert found["not_served"].message == f"EMAIL at {email_worker.url} does not serve score_lead."
    draft.set_allowlist(slug="EMAIL", assistants=["email_compose"], actor=ACTOR)
    assert "not_served" not in {check.code for check in draft.check_draft()}
    publish.publish_routing(actor=ACTOR, reason="served", base_version=0)


@pytest.mark.processes
def test_a_pool_that_refuses_or_is_not_there_is_reported_in_words(
    pools: dict[str, str], email_worker: Server
) -> None:
    assert ask("EMAIL", email_worker.url, "wrong").error.startswith("answered 40")
    Pool.objects.filter(pk="EMAIL").update(base_urls=["http://127.0.0.1:9"])
    (answer,) = probe_pools(["EMAIL"])
    assert answer.error
    assert "s" * 40 not in answer.error
    assert {check.code for check in draft.check_draft()} >= {"unreachable"}
    assert PoolReport.objects.get(pool="EMAIL", url="http://127.0.0.1:9").ok is False
    publish.publish_routing(actor=ACTOR, reason="a warning does not stop it", base_version=0)


@pytest.mark.processes
def test_a_call_past_the_dispatcher_is_refused_and_a_finding(
    pools: dict[str, str], email_worker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL_WORKER_SECRET", SECRET)
    Pool.objects.filter(pk="EMAIL").update(base_urls=[email_worker.url])
    Pool.objects.exclude(pk="EMAIL").update(base_urls=["http://127.0.0.1:9"])
    trace_id = str(uuid4())
    headers = {"user-agent": "an-old-script/1", "langsmith-trace": f"20261122T161208700001Z{trace_id}"}
    call = {"assistant_id": "probe_email", "input": {"x": 1}}
    assert httpx.post(f"{email_worker.url}/runs/wait", json=call, headers=headers).status_code == 401
    find_refused_calls(0)
    finding = StoredFinding.objects.get(code="bypassed-dispatcher", hop="EMAIL")
    assert finding.title.endswith("without its secret, from 127.0.0.1: `POST /runs/wait`.")
    assert finding.severity == "warning"
    sighting = finding.sightings.get(trace_id=trace_id)
    assert sighting.evidence["caller"] == "an-old-script/1"
    assert sighting.evidence["replica"] == email_worker.url
    assert httpx.get(f"{email_worker.url}/_ml/health").status_code == 401  # in no action
    find_refused_calls(0)
    find_refused_calls(0)
    finding.refresh_from_db()
    assert finding.count == finding.sightings.count()
    assert finding.sightings.filter(trace_id=None).exists()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http://nowhere.invalid", "http://[::1", "http://127.0.0.1:99999"]
)
def test_asking_never_raises(url: str) -> None:
    assert ask("EMAIL", url, "").error
