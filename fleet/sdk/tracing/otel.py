"""LangGraph's runs as OpenTelemetry spans. Imported only where OTLP export is on.

The provider is our own and never the global one, so that a graph's own instrumentation stays as it was set up.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core.tracers.base import BaseTracer
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from langchain_core.tracers.schemas import Run
    from opentelemetry.trace import Span, Tracer

    from fleet.sdk.propagation import Carried

_FLUSH_MS = 5000
_OPERATIONS = {"llm": "chat", "tool": "execute_tool", "retriever": "retrieval"}
#: On every span: the join key for cost and latency.
ASSISTANT = "langgraph.assistant_id"


@cache
def _provider() -> TracerProvider:
    resource = Resource.create({"service.name": "agentic-sales-pool"})  # OTEL_SERVICE_NAME and the like win
    provider = TracerProvider(resource=resource)  # which shuts down, and so flushes, at exit
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def flush() -> None:
    """Export what is held, within a few seconds."""
    if _provider.cache_info().currsize:
        _provider().force_flush(_FLUSH_MS)


@contextmanager
def graph_run(config: dict[str, Any], carried: Carried) -> Iterator[None]:
    """Open the span of a graph's run under the caller's; the graph's own runs become spans below it."""
    tracer = _provider().get_tracer("fleet.sdk.tracing")
    headers = {"traceparent": carried.traceparent, "tracestate": carried.tracestate}
    parent = TraceContextTextMapPropagator().extract({k: v for k, v in headers.items() if v})
    attributes = {k: v for k, v in config["metadata"].items() if isinstance(v, str | int | float | bool)}
    with tracer.start_as_current_span(config["run_name"], context=parent, attributes=attributes) as root:
        config["callbacks"] = [_Spans(tracer, root, str(config["metadata"].get(ASSISTANT, "")))]
        yield


class _Spans(BaseTracer):
    """Turns the runs of one graph run into spans below `root`; the graph's own root run is `root` itself."""

    run_inline = True

    def __init__(self, tracer: Tracer, root: Span, assistant_id: str) -> None:
        super().__init__()
        self._tracer, self._root, self._assistant_id = tracer, root, assistant_id
        self._spans: dict[UUID, Span] = {}

    def _persist_run(self, run: Run) -> None:
        """Nothing to do: every run was told of as it ended."""

    def _start_trace(self, run: Run) -> None:
        super()._start_trace(run)
        if run.parent_run_id is None:
            self._spans[run.id] = self._root
            return
        parent = self._spans.get(run.parent_run_id, self._root)
        self._spans[run.id] = self._tracer.start_span(
            run.name,
            context=trace.set_span_in_context(parent),
            start_time=_ns(run.start_time),
            attributes={ASSISTANT: self._assistant_id, "langsmith.span.kind": run.run_type},
        )

    def _end_trace(self, run: Run) -> None:
        super()._end_trace(run)
        span = self._spans.pop(run.id, None)
        if span is None:
            return
        if span.is_recording():
            _describe(span, run)
        if span is not self._root:
            span.end(_ns(run.end_time or datetime.now(UTC)))


def _describe(span: Span, run: Run) -> None:
    span.set_attribute("gen_ai.prompt", _json(run.inputs))
    if run.outputs is not None:
        span.set_attribute("gen_ai.completion", _json(run.outputs))
    if run.run_type in _OPERATIONS:
        span.set_attribute("gen_ai.operation.name", _OPERATIONS[run.run_type])
    metadata = (run.extra or {}).get("metadata") or {}
    if metadata.get("ls_model_name"):
        span.set_attribute("gen_ai.request.model", str(metadata["ls_model_name"]))
        span.set_attribute("gen_ai.provider.name", str(metadata.get("ls_provider", "")))
    for name, value in _usage(run).items():
        span.set_attribute(name, value)
    if run.error:
        span.set_status(trace.StatusCode.ERROR, run.error[:2000])


def _usage(run: Run) -> dict[str, int]:
    """Return the tokens of an llm run whose message says them."""
    try:
        message = (run.outputs or {})["generations"][0][0]["message"]
        usage = getattr(message, "usage_metadata", None) or message["kwargs"]["usage_metadata"]
        return {f"gen_ai.usage.{name}": int(usage[name]) for name in ("input_tokens", "output_tokens")}
    except (KeyError, IndexError, TypeError, ValueError):
        return {}


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
