"""The facts a tree is made of: what the store and the dispatch log hand to `stitch.py`.

Plain records, no Django and no database, so that stitching and the detectors stay pure. They are structs because a tree
has thousands: one of thirty fields is made in a third of a dataclass's time, and written as JSON in a tenth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

RunStatus = Literal["running", "ok", "error"]
Source = Literal["langsmith", "otlp"]


class RunRow(Struct, frozen=True, gc=False):
    """One run or span with its post and patch merged. Ids are lower-case UUID strings."""

    run_id: str
    trace_id: str
    parent_run_id: str | None = None
    name: str = ""
    #: llm, chain, tool, retriever, embedding, prompt or parser.
    run_type: str = "chain"
    source: Source = "langsmith"
    project: str = ""
    start: datetime | None = None
    end: datetime | None = None
    status: RunStatus = "running"
    error: str | None = None
    # Lifted from metadata, `langgraph.assistant_id` and `agentic.*`.
    assistant_id: str | None = None
    pool: str | None = None
    routing_version: int | None = None
    graph_digest: str | None = None
    dispatch_id: str | None = None
    thread_id: str | None = None
    model: str | None = None
    provider: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    #: US dollars.
    cost: Decimal | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # W3C ids in lower-case hex, 32 and 16 digits; None for runs that came without.
    w3c_trace_id: str | None = None
    w3c_span_id: str | None = None
    w3c_parent_id: str | None = None
    #: Names of attachments, never their bytes.
    attachments: tuple[str, ...] = ()
    first_token: datetime | None = None


class DispatchRow(Struct, frozen=True, gc=False):
    """One dispatch record, field for field the table `routing_app_dispatchrecord`."""

    id: str
    received_at: datetime
    request_id: str = ""
    method: str = "POST"
    path: str = ""
    assistant_id: str = ""
    pool: str = ""
    replica: str = ""
    routing_version: int | None = None
    routing_digest: str = ""
    status: int = 0
    #: "" when the call went well.
    error_kind: str = ""
    error: str = ""
    #: The pool answered 200 with a failed graph inside (`__error__`, or an SSE `error` event).
    graph_failed: bool = False
    #: The pool's run id from Content-Location, "" when none was given.
    run_id: str = ""
    thread_id: str = ""
    key_prefix: str = ""
    key_name: str = ""
    caller: str = ""
    w3c_trace_id: str = ""
    #: The caller's span, "" when the caller sent no `traceparent`.
    w3c_parent_id: str = ""
    w3c_minted: bool = False
    ls_trace_id: str = ""
    ls_parent_run_id: str = ""
    ls_project: str = ""
    dropped_headers: tuple[str, ...] = ()
    executed_pool: str = ""
    executed_graph_digest: str = ""
    decided_graph_digest: str = ""
    queued_ms: float | None = None
    ttfb_ms: float | None = None
    total_ms: float | None = None
    ended_at: datetime | None = None

    @property
    def start(self) -> datetime:
        return self.received_at

    @property
    def end(self) -> datetime | None:
        return self.ended_at

    @property
    def spans_the_run(self) -> bool:
        """True when the end of the call is the end of the run; background runs go on after it."""
        return self.path.rstrip("/").endswith(("/wait", "/stream", "/join"))

    @property
    def failed(self) -> bool:
        return bool(self.error_kind) or self.status >= 400

    @property
    def caller_name(self) -> str:
        return self.key_name or self.caller or "the caller"


class RunPayload(Struct, frozen=True):
    """The heavy part of one run: decoded JSON values, None when never sent."""

    inputs: Any = None
    outputs: Any = None
    events: Any = None
    extra: Any = None
    error: str | None = None
    serialized: Any = None
    #: The run's place in its trace as LangSmith writes it, None for spans.
    dotted_order: str | None = None
