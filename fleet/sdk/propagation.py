"""Which headers a call carries on: those of the run it is made in, or of the caller's open trace.

Tracing libraries are asked only when something else has loaded them; nothing is imported here.
"""

from __future__ import annotations

import json
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contract.headers import Baggage


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The trace headers a run came with; empty text where it came without."""

    traceparent: str = ""
    tracestate: str = ""
    request_id: str = ""
    langsmith_trace: str = ""
    baggage: str = ""


_carried: ContextVar[Carried] = ContextVar("carried", default=Carried())  # noqa: B039 - it is frozen


def carry(headers: Carried) -> None:
    """Let calls made from this context carry `headers` on."""
    _carried.set(headers)


def outbound_headers() -> dict[str, str]:
    """Return the trace headers for a call made now, by lower-case name.

    The innermost open trace wins: a LangSmith run over the header this run came with, an OpenTelemetry span over
    its traceparent.
    """
    carried = _carried.get()
    headers = {
        "traceparent": carried.traceparent,
        "tracestate": carried.tracestate,
        "x-request-id": carried.request_id,
        "langsmith-trace": carried.langsmith_trace,
        "baggage": carried.baggage,
    }
    headers |= _langsmith(carried)
    headers |= _opentelemetry(carried)
    return {name: value for name, value in headers.items() if value}


def langsmith_baggage(baggage: Baggage) -> str:
    """Return the LangSmith items of a caller's baggage.

    No replica list or address passes, nor what only a pool may say of itself.
    """
    metadata = {
        key: value
        for key, value in baggage.metadata.items()
        if not key.startswith(("agentic.", "langgraph."))
    }
    items: Mapping[str, str] = {
        "langsmith-metadata": json.dumps(metadata) if metadata else "",
        "langsmith-tags": ",".join(baggage.tags),
        "langsmith-project": baggage.project or "",
    }
    return ",".join(f"{name}={quote(value, safe='')}" for name, value in items.items() if value)


def _langsmith(carried: Carried) -> dict[str, str]:
    helpers = sys.modules.get("langsmith.run_helpers")
    run = helpers.get_current_run_tree() if helpers is not None else None
    if run is None:
        return {}
    if not carried.langsmith_trace and not carried.request_id:
        return {name: value for name, value in run.to_headers().items() if value}
    # Inside a pool the run's own metadata names this pool; the next one has its own to say.
    project = f"langsmith-project={quote(run.session_name or '', safe='')}" if run.session_name else ""
    return {"langsmith-trace": run.dotted_order, "baggage": carried.baggage or project}


def _opentelemetry(carried: Carried) -> dict[str, str]:
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    own = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return {"traceparent": own, "tracestate": context.trace_state.to_header() or carried.tracestate}
