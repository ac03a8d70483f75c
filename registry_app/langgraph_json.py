"""`fleet/langgraph.json` from the registry, without importing any graph."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contract.graph_spec import GraphSpec

#: Headers a LangGraph server hands to a graph, so that it can join its caller's trace.
TRACE_HEADERS = ("langsmith-trace", "baggage", "x-request-id")


def render(specs: Iterable[GraphSpec]) -> str:
    """The file for these graphs, as `langgraph dev --config fleet/langgraph.json` takes it at the root of the checkout."""
    config = {
        "dependencies": [".."],
        "graphs": {spec.assistant_id: spec.langgraph_path for spec in specs},
        "http": {"configurable_headers": {"includes": list(TRACE_HEADERS)}},
    }
    return json.dumps(config, indent=2) + "\n"
