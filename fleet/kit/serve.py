"""What `fleet/langgraph.json` points at: a graph built once, each run nested under its caller's trace."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from contract.headers import parse_inbound
from fleet.sdk.propagation import langsmith_baggage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# A LangGraph server takes these request headers into a run's `configurable` when fleet/langgraph.json says so.
_TRACE_HEADERS = ("langsmith-trace", "baggage", "traceparent", "tracestate", "x-request-id")


def served(build_graph: Callable[[], Any]) -> Callable[[dict[str, Any]], AbstractAsyncContextManager[Any]]:
    """Wrap a builder as the factory form a LangGraph server calls with each run's config.

    The server's own checkpointer is attached by the server. Its trace headers are adopted here, because a
    server hands them over and leaves the nesting to the graph.
    """
    built: list[Any] = []

    @asynccontextmanager
    async def graph(config: dict[str, Any]) -> AsyncIterator[Any]:
        if not built:
            built.append(build_graph())
        parent = _parent((config or {}).get("configurable") or {})
        if not parent:
            yield built[0]
            return
        from langsmith.run_helpers import tracing_context

        with tracing_context(parent=parent):
            yield built[0]

    return graph


def _parent(configurable: dict[str, Any]) -> dict[str, str]:
    """Return the LangSmith headers to nest under, or nothing; a malformed one would fail the run."""
    headers = {name: configurable[name] for name in _TRACE_HEADERS if isinstance(configurable.get(name), str)}
    inbound = parse_inbound(headers)
    if inbound.langsmith_trace is None:
        return {}
    return {"langsmith-trace": inbound.langsmith_trace.raw, "baggage": langsmith_baggage(inbound.baggage)}
