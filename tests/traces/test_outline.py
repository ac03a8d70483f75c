"""Of a large trace the upper levels, the ways to faults and what is open are loaded; the sums are of all of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.traces.scenes import uid
from traces_app import selectors
from traces_app.outline import BROOD, LARGE, ROWS, chosen, outline

if TYPE_CHECKING:
    import httpx

BEGUN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def test_levels_that_fit_and_the_way_to_a_fault() -> None:
    rows: list[tuple[str, str | None, bool, int | None]] = [("root", None, False, None)]
    rows += [(f"a{n}", "root", False, None) for n in range(300)]
    rows += [(f"b{n}", f"a{n % 300}", n == 8_000, 2) for n in range(9_000)]
    shape = outline(rows)
    assert (shape.below["root"], shape.tokens["root"], shape.below["a0"]) == (9_300, 18_000, 30)
    kept = chosen(shape)
    assert kept == {"root", *(f"a{n}" for n in range(300)), "b8000"}
    assert len(chosen(shape, ["a7"]) - kept) == 30


def test_a_million_children_of_one_row_and_rings_stay_bounded() -> None:
    rows: list[tuple[str, str | None, bool, int | None]] = [("root", None, False, None)]
    rows += [(f"c{n}", "root", False, 1) for n in range(200_000)]
    rows += [("x", "y", True, None), ("y", "x", False, None)]
    shape = outline(rows)
    kept = chosen(shape)
    assert shape.below["root"] == 200_000
    assert len(kept) <= BROOD + 3
    assert {"x", "y"} <= kept, "a ring is loaded for its fault, so that it can be said"
    assert len(chosen(outline((f"r{n}", None, False, None) for n in range(50_000)))) <= ROWS


def send_large(http: httpx.Client, count: int) -> str:
    trace = uid(f"large {count}")
    ids = [trace, *(uid(f"{count} {n}") for n in range(1, count))]
    for first in range(0, count, 5_000):
        posts: list[dict[str, Any]] = []
        for n in range(first, min(first + 5_000, count)):
            start = BEGUN + timedelta(milliseconds=n)
            posts.append(
                {
                    "id": ids[n],
                    "trace_id": trace,
                    "parent_run_id": ids[(n - 1) // 20] if n else None,
                    "name": f"step {n}",
                    "run_type": "llm" if n and n > count // 2 else "chain",
                    "session_name": "large",
                    "start_time": start.isoformat(),
                    "end_time": (start + timedelta(seconds=1)).isoformat(),
                    "extra": {"metadata": {"usage_metadata": {"total_tokens": 3}}} if n > count // 2 else {},
                    "inputs": {},
                    "outputs": {},
                    "error": "it broke" if n == count - 1 else None,
                }
            )
        answer = http.post(
            "/langsmith/runs/batch", content=orjson.dumps({"post": posts, "patch": []}), timeout=120
        )
        assert answer.status_code == 202, answer.text
    return trace


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_large_trace_opens_with_the_totals_of_all_of_it(http: httpx.Client) -> None:
    count = LARGE + 1_000
    trace = send_large(http, count)
    begun = time.perf_counter()
    tree = selectors.get_tree(trace)
    took = time.perf_counter() - begun
    assert tree is not None
    root = tree.nodes[0]
    assert (root.id, root.descendant_count, root.child_count) == (trace, count - 1, 20)
    assert root.tokens == 3 * (count - 1 - count // 2)
    assert len(tree.nodes) <= ROWS + 200
    assert any(node.error == "it broke" for node in tree.nodes), "the way to the fault is open"
    deep = next(
        node for node in tree.nodes if node.child_count and node.descendant_count > 0 and node.depth == 2
    )
    opened = selectors.get_tree(trace, opened=[deep.id])
    assert opened is not None
    assert sum(node.parent_id == deep.id for node in opened.nodes) == deep.child_count
    assert took < 5, f"{took:.2f} s for {count} runs"
