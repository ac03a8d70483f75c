"""classify_recruitment_bulk: the label of classify_recruitment for many rows, a few at once, so that others get their turn."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.graphs.classify.recruitment import judge
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, add_usage
from fleet.kit.text import clean

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Rows between two updates that a stream shows, and rows asked of the model at once.
BATCH, MOST_AT_ONCE, DEFAULT_AT_ONCE = 40, 16, 8
#: A model that fails on this many rows in a row is down: asking on would only cost time.
GIVE_UP_AFTER = 24


class BulkInput(TypedDict, total=False):
    rows: list[dict[str, Any]]
    at_once: int


class BulkOutput(ModelFacts, total=False):
    #: One a row, in order: `id`, `label`, `confidence`, `evidence`; `label` is "failed" with the `error` otherwise.
    results: Annotated[list[dict[str, Any]], operator.add]
    counts: dict[str, int]
    missing: list[str]
    partial: bool


class BulkState(BulkOutput, total=False):
    rows: list[dict[str, Any]]
    at_once: int
    position: int


def begin(state: BulkState) -> Update:
    return {"position": 0, "results": [], "counts": {}, "missing": [], "partial": False}


async def label_batch(state: BulkState) -> Update:
    first = state["position"]
    rows = state["rows"][first : first + BATCH]
    gate = asyncio.Semaphore(max(1, min(MOST_AT_ONCE, state.get("at_once") or DEFAULT_AT_ONCE)))
    labelled = await asyncio.gather(*(_label(row, first + n, gate) for n, row in enumerate(rows)))
    update: Update = {
        "results": [result for result, _facts in labelled],
        "position": first + len(rows),
        "usage": {},
    }
    for _result, facts in labelled:
        if facts:
            update = {**update, **facts, "usage": add_usage(update["usage"], facts["usage"])}
    return update


async def _label(
    row: dict[str, Any], position: int, gate: asyncio.Semaphore
) -> tuple[dict[str, Any], Update]:
    """A row that fails is one failed row, not a failed job."""
    row_id = clean(row.get("id"), 200) or str(position + 1)
    async with gate:
        await asyncio.sleep(0)  # rules never wait: without this a batch would hold the loop
        try:
            data, answer = await judge(str(row.get("text") or ""), {"name": clean(row.get("name"), 200)})
        except LangGraphError as failure:
            return {"id": row_id, "label": "failed", "error": str(failure)[:300]}, {}
    return {"id": row_id, **data}, answer.facts()


def after_batch(state: BulkState) -> Literal["label_batch", "count"]:
    done = state["position"] >= len(state["rows"])
    last = state["results"][-GIVE_UP_AFTER:]
    down = len(last) == GIVE_UP_AFTER and all(result["label"] == "failed" for result in last)
    return "count" if done or down else "label_batch"


def count(state: BulkState) -> Update:
    counts = Counter(result["label"] for result in state["results"])
    left = len(state["rows"]) - state["position"]
    missing = [f"{counts['failed']} rows the model gave no label for"] if counts["failed"] else []
    missing += [f"{left} rows not tried, because the model failed on all before"] if left else []
    return {"counts": dict(counts), "missing": missing, "partial": bool(missing)}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(BulkState, input_schema=BulkInput, output_schema=BulkOutput)
    graph.add_node("begin", begin)
    graph.add_node("label_batch", label_batch)
    graph.add_node("count", count)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "label_batch")
    graph.add_conditional_edges("label_batch", after_batch, ["label_batch", "count"])
    graph.add_edge("count", END)
    return graph.compile(checkpointer=checkpointer, name="classify_recruitment_bulk")


graph = served(build_graph)
