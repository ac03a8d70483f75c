"""Stitching: the identical tree for any order, honest about what is missing, linear at any size."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.traces.scenes import LATER, T0, at, called, clean, hop, run, uid
from traces_app.rows import DispatchRow, RunRow
from traces_app.stitch import stitch
from traces_app.text_tree import render

if TYPE_CHECKING:
    from traces_app.tree import Node, StitchedTree


def by_name(tree: StitchedTree) -> dict[str, Node]:
    return {node.name: node for node in tree.nodes}


def shape(tree: StitchedTree) -> list[tuple[int, str, str]]:
    return [(node.depth, node.kind, node.name) for node in tree.nodes]


def test_one_action_is_one_tree() -> None:
    tree = stitch(*clean(), now=LATER)
    assert shape(tree) == [
        (0, "caller", "caller"),
        (1, "dispatcher", "POST /runs/wait"),
        (2, "pool", "compose"),
        (3, "node", "compose.draft"),
        (4, "llm", "compose.llm"),
        (1, "dispatcher", "POST /runs/wait"),
        (2, "pool", "classify"),
        (3, "node", "classify.draft"),
        (4, "llm", "classify.llm"),
    ]
    assert tree.state == "complete"
    assert tree.missing == ()
    assert tree.findings == ()
    assert tree.story.pools == ("EMAIL", "CLASSIFY")
    assert tree.story.decided_is_executed is True


def test_only_llm_leaves_are_billed() -> None:
    tree = stitch(*clean(), now=LATER)
    root = tree.nodes[0]
    assert (root.tokens, root.cost) == (200, Decimal("0.004"))
    assert (root.own_tokens, root.own_cost) == (None, None)
    draft = by_name(tree)["compose.draft"]
    assert (draft.tokens, draft.own_tokens) == (100, None)
    assert by_name(tree)["compose.llm"].own_tokens == 100


def test_an_llm_wrapped_in_an_llm_is_billed_once() -> None:
    inner = run("inner", 1, 2, "outer", run_type="llm", total_tokens=70, trace_id=uid("outer"))
    outer = run("outer", 0, 3, run_type="llm", prompt_tokens=50, completion_tokens=20)
    assert stitch([outer, inner], now=LATER).nodes[0].tokens == 70
    alone = stitch([outer, replace(inner, total_tokens=None)], now=LATER)
    assert alone.nodes[0].own_tokens == 70


def test_a_pool_that_ignored_the_headers_hangs_under_its_hop_all_the_same() -> None:
    """An unmodified Agent Server begins a trace of its own, in a project of its own."""
    runs, hops = clean()
    own: dict[str, Any] = {"trace_id": uid("compose"), "pool": None, "dispatch_id": None, "project": "worker"}
    runs = [replace(one, **own) if one.name.startswith("compose") else one for one in runs]
    runs = [replace(one, parent_run_id=None) if one.name == "compose" else one for one in runs]
    tree = stitch(runs, hops, now=LATER)
    assert shape(tree) == shape(stitch(*clean(), now=LATER))
    assert tree.trace_ids == tuple(sorted((uid("caller"), uid("compose"))))
    assert [finding.code for finding in tree.findings] == ["standalone-root"]


def test_a_caller_without_spans_is_named_from_its_key() -> None:
    runs = called("compose", "email_compose", "EMAIL", 1, 4, trace_id=uid("compose"))
    runs[0] = replace(runs[0], parent_run_id=None)
    tree = stitch(runs, [hop("hop compose", 0.9, 4.1, run_id=uid("compose"))], now=LATER)
    assert [(node.kind, node.name) for node in tree.nodes[:3]] == [
        ("caller", "web-app"),
        ("dispatcher", "POST /runs/wait"),
        ("pool", "compose"),
    ]
    assert tree.nodes[0].id == f"caller:{uid('request hop compose')}"
    assert tree.state == "complete"
    assert tree.findings == ()


def test_spans_join_by_w3c_ids() -> None:
    trace = "ab" * 16
    span: dict[str, Any] = {"source": "otlp", "w3c_trace_id": trace, "trace_id": uid("otlp")}
    runs = [
        run("handler", 0, 9, **span, w3c_span_id="11" * 8),
        run("fetch", 1, 8, **span, w3c_span_id="22" * 8, w3c_parent_id="11" * 8),
        *called("compose", "email_compose", "EMAIL", 2, 7, trace_id=uid("compose")),
    ]
    runs[2] = replace(runs[2], parent_run_id=None)
    record = hop(
        "hop compose",
        1.9,
        7.1,
        run_id=uid("compose"),
        w3c_trace_id=trace,
        w3c_parent_id="22" * 8,
        w3c_minted=False,
    )
    tree = stitch(runs, [record], now=LATER)
    assert [node.depth for node in tree.nodes] == [0, 1, 2, 3, 4, 5]
    assert tree.findings == ()


def test_a_lost_span_leaves_a_placeholder_and_one_tree() -> None:
    runs, hops = clean()
    tree = stitch([one for one in runs if one.name != "compose.draft"], hops, now=LATER)
    assert tree.state == "partial"
    assert [(gap.source, gap.count) for gap in tree.missing] == [("EMAIL", 1)]
    lost = by_name(tree)[f"missing span {uid('compose.draft')[:8]}"]
    assert lost.status == "missing"
    assert len(tree.roots) == 1
    assert [finding.code for finding in lost.findings] == ["missing-parent"]


def test_a_lost_pool_root_keeps_its_place_under_the_hop() -> None:
    runs, hops = clean()
    kept = [one for one in runs if one.name not in ("compose", "compose.draft")]
    tree = stitch(kept, hops, now=LATER)
    assert [(node.depth, node.kind) for node in tree.nodes[:5]] == [
        (0, "caller"),
        (1, "dispatcher"),
        (2, "node"),
        (3, "llm"),
        (1, "dispatcher"),
    ]
    side = run("side", 2, 3, "compose", pool="EMAIL", dispatch_id=uid("hop compose"))
    tree = stitch([*kept, side], hops, now=LATER)
    assert [(node.depth, node.kind, node.status) for node in tree.nodes[1:5]] == [
        (1, "dispatcher", "ok"),
        (2, "pool", "missing"),
        (3, "node", "missing"),
        (4, "llm", "ok"),
    ]


def test_a_root_that_never_came_still_gives_one_tree() -> None:
    runs, hops = clean()
    tree = stitch([one for one in runs if one.name != "caller"], hops, now=LATER)
    assert tree.roots == (f"missing:{uid('caller')}",)
    assert tree.nodes[0].kind == "caller"
    assert tree.missing[0].source == "caller"


def test_a_running_action_becomes_stalled_when_its_process_is_gone() -> None:
    runs, hops = clean()
    runs = [replace(one, end=None, status="running") if one.name == "compose" else one for one in runs]
    assert stitch(runs, [], now=at(11)).state == "running"
    tree = stitch(runs, hops, now=LATER)
    assert tree.state == "stalled"
    assert by_name(tree)["compose"].status == "stalled"
    assert [finding.code for finding in tree.findings] == ["exit-before-flush"]


def test_spans_still_on_their_way_are_not_missing_yet() -> None:
    _, hops = clean()
    assert stitch([run("caller", 0, 10)], hops, now=at(12)).state == "running"
    tree = stitch([run("caller", 0, 10)], hops, now=LATER)
    assert tree.state == "partial"
    assert {gap.source for gap in tree.missing} == {"EMAIL", "CLASSIFY"}


def test_a_closing_count_tells_how_many_spans_were_lost() -> None:
    runs, hops = clean()
    runs = [replace(o, metadata={"agentic.span_count": 9}) if o.name == "compose" else o for o in runs]
    tree = stitch(runs, hops, now=LATER)
    assert [(gap.source, gap.count) for gap in tree.missing] == [("EMAIL", 6)]
    assert tree.state == "partial"


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_ring_of_parents_is_cut_and_said(size: int) -> None:
    names = [f"ring{index}" for index in range(size)]
    runs = [run(name, index, 9, names[index - 1]) for index, name in enumerate(names)]
    tree = stitch(runs, now=LATER)
    assert [node.name for node in tree.nodes] == names
    assert [(finding.code, finding.evidence["node_id"]) for finding in tree.findings] == [
        ("parent-cycle", uid("ring0"))
    ]


def test_two_runs_with_one_id_are_one_row_and_said() -> None:
    first = run("compose", 1, 4)
    second = replace(first, name="classify", trace_id=uid("elsewhere"), end=None, status="running")
    for rows in ([first, second], [second, first]):
        tree = stitch(rows, now=LATER)
        assert [node.name for node in tree.nodes] == ["compose"]
        assert [finding.code for finding in tree.findings] == ["duplicate-run"]


def test_clocks_in_1970_and_2999_are_said_and_harm_nothing() -> None:
    runs, hops = clean()
    runs = [
        replace(one, start=one.start.replace(year=1970), end=one.end.replace(year=2999))
        if one.name == "compose.llm" and one.start and one.end
        else one
        for one in runs
    ]
    tree = stitch(runs, hops, now=LATER)
    assert tree.story.start == T0
    assert tree.state == "complete"
    assert [finding.code for finding in tree.findings] == ["clock-skew"]


def test_a_skewed_pool_is_shifted_on_to_the_dispatchers_clock() -> None:
    runs, hops = clean()
    early = timedelta(seconds=30)
    runs = [
        replace(one, start=one.start - early, end=one.end - early)
        if one.name.startswith("compose") and one.start and one.end
        else one
        for one in runs
    ]
    tree = stitch(runs, hops, now=LATER)
    assert by_name(tree)["compose.llm"].shift_ms == pytest.approx(29_900)
    assert by_name(tree)["classify.llm"].shift_ms == 0


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[RunRow], list[DispatchRow]]:
    """Any subset of a damaged action, in any order, with repeats."""
    runs, hops = clean()
    rows: list[RunRow | DispatchRow] = [
        *runs,
        *hops,
        run("orphan", 3, 4, "never sent"),
        run("ring a", 3, 4, "ring b"),
        run("ring b", 4, 5, "ring a"),
        replace(runs[1], name="other", end=None),
    ]
    kept = draw(st.lists(st.sampled_from(range(len(rows))), max_size=30))
    chosen = [rows[index] for index in kept]
    return [r for r in chosen if isinstance(r, RunRow)], [r for r in chosen if isinstance(r, DispatchRow)]


@settings(max_examples=300, deadline=None)
@given(arrivals(), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_gives_the_identical_tree(
    rows: tuple[list[RunRow], list[DispatchRow]], random: Random
) -> None:
    runs, hops = rows
    expected = stitch(runs, hops, now=LATER)
    again = [*runs, *runs[:3]]
    hops_again = [*hops, *hops[:1]]
    random.shuffle(again)
    random.shuffle(hops_again)
    assert stitch(again, hops_again, now=LATER) == expected
    assert sorted(node.id for node in expected.nodes) == sorted({node.id for node in expected.nodes})
    ids = {node.id for node in expected.nodes}
    assert {one.run_id for one in runs} | {one.id for one in hops} <= ids


def test_ten_thousand_orders_of_one_action() -> None:
    runs, hops = clean()
    rows: list[RunRow | DispatchRow] = [*runs, *hops, run("orphan", 3, 4, "never sent")]
    random = Random(20261122)
    expected = stitch([*runs, rows[-1]], hops, now=LATER)  # type: ignore[list-item]
    for _ in range(10_000):
        random.shuffle(rows)
        shuffled = [row for row in rows if isinstance(row, RunRow)]
        records = [row for row in rows if isinstance(row, DispatchRow)]
        assert stitch(shuffled, records, now=LATER) == expected


@pytest.mark.parametrize("form", ["wide", "deep"])
def test_cost_grows_with_size_and_nothing_recurses(form: str) -> None:
    def rows(count: int) -> list[RunRow]:
        parents = ["r0"] * count if form == "wide" else [f"r{index}" for index in range(count)]
        return [run("r0", 0, 9), *(run(f"r{i + 1}", i * 1e-6, 9, parents[i]) for i in range(count))]

    def cost(given: list[RunRow]) -> float:
        began = time.process_time()
        assert len(stitch(given, now=LATER).nodes) == len(given)
        return time.process_time() - began

    small, large = rows(2_000), rows(20_000)
    cost(small)
    ratio = cost(large) / max(min(cost(small) for _ in range(3)), 1e-4)
    assert ratio < 40, f"ten times the rows took {ratio:.0f} times as long"


def test_as_text() -> None:
    runs, hops = clean()
    text = render(stitch([one for one in runs if one.name != "compose.draft"], hops, now=LATER))
    lines = text.splitlines()
    assert lines[0].startswith(
        "web-app · v7 · decided = executed · ok · partial, 1 missing · 10.00 s · 200 tokens"
    )
    assert any(line.startswith("└─ dispatcher POST /runs/wait") and "CLASSIFY" in line for line in lines)
    assert any("missing: 1 from EMAIL" in line for line in lines)


def test_text_holds_no_control_characters() -> None:
    text = render(stitch([run("a\x1b[2J\nb", 0, 1, status="error", error="boom\x07")], now=LATER))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert len(text.splitlines()) == 2


def test_rows_beyond_the_limit_are_counted() -> None:
    rows = [run("r", 0, 9), *(run(f"r{i}", 1, 2, "r") for i in range(300))]
    assert "… 201 more rows" in render(stitch(rows, now=LATER), limit=100)
