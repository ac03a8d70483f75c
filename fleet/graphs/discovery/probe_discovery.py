"""The canary of pool DISCOVERY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.probe import build_probe
from fleet.kit.serve import served

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph


def build_graph(checkpointer: Any = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the canary, ready to run."""
    return build_probe("DISCOVERY", checkpointer)


graph = served(build_graph)
