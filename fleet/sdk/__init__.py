"""The one way to run a graph of the fleet from Python: through the platform, with the caller's trace carried on."""

from __future__ import annotations

from contract.errors import LangGraphError
from fleet.sdk.aio import arun_graph, arun_graph_with_meta, astream_graph
from fleet.sdk.calls import RunResult, StreamEvent, Timings
from fleet.sdk.client import run_graph, run_graph_with_meta, stream_graph, thread_state

__all__ = [
    "LangGraphError",
    "RunResult",
    "StreamEvent",
    "Timings",
    "arun_graph",
    "arun_graph_with_meta",
    "astream_graph",
    "run_graph",
    "run_graph_with_meta",
    "stream_graph",
    "thread_state",
]
