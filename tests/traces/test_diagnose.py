"""Each detector on the fault it is for, and silence on everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.traces.scenes import LATER, at, called, clean, hop, run, uid
from traces_app.diagnose import CODES
from traces_app.stitch import stitch

if TYPE_CHECKING:
    from collections.abc import Callable

    from traces_app.rows import DispatchRow, RunRow

Rows = tuple[list["RunRow"], list["DispatchRow"]]


def codes(rows: Rows) -> list[str]:
    return [finding.code for finding in stitch(*rows, now=LATER).findings]


def change_hop(**fields: Any) -> Rows:
    runs, hops = clean()
    return runs, [replace(hops[0], **fields), hops[1]]


def change_run(name: str, **fields: Any) -> Rows:
    runs, hops = clean()
    return [replace(one, **fields) if one.name == name else one for one in runs], hops


def standalone() -> Rows:
    return change_run("compose", trace_id=uid("compose"), parent_run_id=None)


def stripped() -> Rows:
    return change_run("caller", w3c_trace_id="ab" * 16, w3c_span_id="cd" * 8)


def bypassed() -> Rows:
    runs, hops = clean()
    return [*runs, run("direct", 2, 3, pool="EMAIL", trace_id=uid("direct"))], hops


def wrong_pool() -> Rows:
    return change_run("compose", pool="CORE")


def wrong_graph() -> Rows:
    return change_hop(decided_graph_digest="aa" * 32, executed_graph_digest="bb" * 32)


def lost_parent() -> Rows:
    runs, hops = clean()
    return [one for one in runs if one.name != "compose.draft"], hops


def retried() -> Rows:
    """The caller gave up on a run that had begun, and asked again."""
    runs, hops = clean()
    first = replace(
        hops[0], id=uid("first"), run_id=uid("again"), status=504, error_kind="timeout", ended_at=at(0.85)
    )
    first = replace(first, received_at=at(0.5))
    again = replace(called("again", "email_compose", "EMAIL", 0.5, 0.8)[0], dispatch_id=uid("first"))
    return [*runs, again], [first, *hops]


def killed() -> Rows:
    return change_run("compose.draft", end=None, status="running")


def silent() -> Rows:
    runs, hops = clean()
    return [one for one in runs if not one.name.startswith("compose")], hops


def skewed() -> Rows:
    runs, hops = clean()
    late = [replace(one, start=at(90), end=at(93)) if one.name.startswith("compose") else one for one in runs]
    return late, hops


def hidden_failure() -> Rows:
    return change_hop(graph_failed=True, error="Traceback …\nValueError: no template")


def malformed() -> Rows:
    return change_hop(dropped_headers=("traceparent",))


def langsmith_header_lost() -> Rows:
    runs, hops = clean()
    runs = [
        replace(o, w3c_trace_id="ab" * 16, w3c_span_id="cd" * 8) if o.name == "caller" else o for o in runs
    ]
    kept: dict[str, Any] = {"w3c_trace_id": "ab" * 16, "w3c_parent_id": "cd" * 8, "w3c_minted": False}
    lost: dict[str, Any] = {"ls_trace_id": "", "ls_parent_run_id": "", "ls_project": ""}
    return runs, [replace(hops[0], **kept, **lost), replace(hops[1], **kept)]


def baggage_lost() -> Rows:
    return change_hop(ls_project="")


def ring() -> Rows:
    runs, hops = clean()
    return [*runs, run("a", 3, 4, "b"), run("b", 3, 4, "a")], hops


FAULTS: list[tuple[str, Callable[[], Rows]]] = [
    ("standalone-root", standalone),
    ("two-traces", stripped),
    ("bypassed-dispatcher", bypassed),
    ("decided-not-executed", wrong_pool),
    ("decided-not-executed", wrong_graph),
    ("missing-parent", lost_parent),
    ("duplicate-run", retried),
    ("exit-before-flush", killed),
    ("exit-before-flush", silent),
    ("clock-skew", skewed),
    ("failed-graph-200", hidden_failure),
    ("header-family-lost", malformed),
    ("header-family-lost", langsmith_header_lost),
    ("header-family-lost", baggage_lost),
    ("parent-cycle", ring),
]


@pytest.mark.parametrize(("code", "fault"), FAULTS, ids=[fault.__name__ for _, fault in FAULTS])
def test_each_fault_is_named_and_nothing_else(code: str, fault: Callable[[], Rows]) -> None:
    found = set(codes(fault()))
    # Two calls share one caller: a stripped header is told at each of them.
    assert found == {code}


def test_every_code_has_a_fault_here() -> None:
    assert {code for code, _ in FAULTS} == set(CODES)


@pytest.mark.parametrize("fault", [fault for _, fault in FAULTS], ids=lambda fault: fault.__name__)
def test_every_sentence_names_its_hop_and_its_remedy(fault: Callable[[], Rows]) -> None:
    for finding in stitch(*fault(), now=LATER).findings:
        assert finding.hop
        assert finding.hop in finding.title + finding.effect
        assert finding.title.endswith(".")
        assert finding.remedy.endswith(".")
        assert finding.evidence
        assert finding.howto == f"/diagnostics/how-to/{finding.code}"
        assert "!" not in finding.title + finding.remedy


def test_a_plain_call_without_any_header_is_not_a_fault() -> None:
    runs = called("compose", "email_compose", "EMAIL", 1, 4, trace_id=uid("compose"))
    runs[0] = replace(runs[0], parent_run_id=None)
    assert codes((runs, [hop("hop compose", 0.9, 4.1, run_id=uid("compose"))])) == []


def test_a_call_that_is_still_running_raises_nothing() -> None:
    """Its dispatch record is written when it ends, so the run stands alone until then."""
    runs = [
        replace(one, end=None, status="running") for one in called("compose", "email_compose", "EMAIL", 1, 4)
    ]
    assert stitch(runs, now=at(5)).findings == ()
    assert stitch(runs, now=at(5)).state == "running"


def test_one_worker_that_calls_another_through_the_dispatcher_is_clean() -> None:
    runs, hops = clean()
    inner = called("inner", "classify_company", "CLASSIFY", 2.0, 3.0)
    inner[0] = replace(inner[0], parent_run_id=uid("compose.draft"))
    record = hop(
        "hop inner",
        1.9,
        3.1,
        run_id=uid("inner"),
        pool="CLASSIFY",
        assistant_id="classify_company",
        ls_trace_id=uid("caller"),
        ls_parent_run_id=uid("compose.draft"),
        ls_project="agentic-sales",
    )
    tree = stitch([*runs, *inner], [*hops, record], now=LATER)
    assert tree.findings == ()
    depth = {node.name: node.depth for node in tree.nodes}
    assert depth["inner"] == depth["compose.draft"] + 2


def test_a_failed_attempt_that_never_started_a_run_may_be_retried() -> None:
    runs, hops = clean()
    refused = replace(hops[0], id=uid("refused"), run_id="", status=503, error_kind="backend")
    refused = replace(refused, received_at=at(0.1), ended_at=at(0.2))
    assert codes((runs, [refused, *hops])) == []


def test_an_assistant_named_by_its_uuid_is_the_same_assistant() -> None:
    from contract.graph_spec import assistant_uuid

    assert codes(change_hop(assistant_id=assistant_uuid("email_compose"))) == []
