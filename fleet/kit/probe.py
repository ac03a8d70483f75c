"""The canary graph every pool carries: adds one, waits or fails on request, and needs nothing from outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, cast

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph


class ProbeOutput(TypedDict):
    """What a canary answers."""

    x: int
    pool: str


def build_probe(pool: str, checkpointer: Any = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the canary of `pool`: `{"x", "fail", "sleep"}` (all optional) → `{"x": x + 1, "pool"}`.

    It raises ValueError on `fail`, after it slept `sleep` seconds.
    """
    from langgraph.channels import EphemeralValue
    from langgraph.graph import END, START, StateGraph

    # `fail` and `sleep` hold for the run that gives them, not for the thread's next one.
    state: Any = TypedDict(
        "state",
        {
            "x": int,
            "fail": Annotated[bool, EphemeralValue],
            "sleep": Annotated[float, EphemeralValue],
            "pool": str,
        },
        total=False,
    )

    async def probe(values: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(float(values.get("sleep") or 0))
        if values.get("fail"):
            raise ValueError(f"the {pool} probe was asked to fail")
        return {"x": int(values.get("x") or 0) + 1, "pool": pool}

    graph: StateGraph[Any, Any, Any, Any] = StateGraph(state, output_schema=ProbeOutput)
    graph.add_node("probe", cast("Any", probe))
    graph.add_edge(START, "probe")
    graph.add_edge("probe", END)
    return graph.compile(checkpointer=checkpointer, name=f"probe_{pool.lower()}")
