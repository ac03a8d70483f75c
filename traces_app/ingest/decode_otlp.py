"""OTLP trace requests, protobuf or JSON, → run parts.

Both forms are read into the same plain span first; GenAI, OpenInference and LangSmith attribute names are known. What
is neither input, output nor a column stays as metadata under its own name.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from traces_app.ingest.decode_langsmith import RUN_TYPES, quarantine
from traces_app.ingest.http import RefusedError
from traces_app.ingest.lift import clean_text, complete_total, count, lift_metadata, lift_usage, money
from traces_app.store.copies import made_by_langsmith
from traces_app.store.records import Bundle, Kind, RunPart, Status, digest64, run_id_of_span, uuid_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INPUTS = (
    "gen_ai.prompt",
    "gen_ai.input.messages",
    "input.value",
    "gen_ai.tool.call.arguments",
    "traceloop.entity.input",
)
_OUTPUTS = (
    "gen_ai.completion",
    "gen_ai.output.messages",
    "output.value",
    "gen_ai.tool.call.result",
    "traceloop.entity.output",
)
_MODELS = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")
_PROVIDERS = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_PROMPT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_COMPLETION_TOKENS = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
)
_TOTAL_TOKENS = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
_COSTS = ("gen_ai.usage.cost", "llm.cost.total")
_THREADS = ("gen_ai.conversation.id", "session.id")
_OPERATIONS = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "execute_tool": "tool",
    "embeddings": "embedding",
    "retrieval": "retriever",
}
_OPENINFERENCE = {
    "LLM": "llm",
    "TOOL": "tool",
    "EMBEDDING": "embedding",
    "RETRIEVER": "retriever",
    "RERANKER": "retriever",
}
_METADATA = "langsmith.metadata."
_TAKEN = frozenset((*_INPUTS, *_OUTPUTS, "langsmith.span.tags", "tag.tags", "langsmith.trace.name"))
_MAX_ERROR = 100_000
_LAST_NS = 253_402_300_799 * 10**9
_ERROR = 2


class Span(msgspec.Struct):
    """A span of either wire form, in plain values."""

    trace_id: bytes
    span_id: bytes
    parent: bytes
    name: str
    start: int
    end: int
    status: int
    message: str
    attributes: dict[str, Any]
    #: (name, time in ns, attributes)
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[str, str]]
    scope: str
    resource: dict[str, Any]


def read_protobuf(body: bytes) -> Iterator[Span]:
    """Yield the spans of a protobuf body. Raises `RefusedError` 400."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise RefusedError(400, f"body: {error}") from error
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope_spans in group.scope_spans:
            scope = scope_spans.scope.name
            for s in scope_spans.spans:
                yield Span(
                    s.trace_id,
                    s.span_id,
                    s.parent_span_id,
                    s.name,
                    s.start_time_unix_nano,
                    s.end_time_unix_nano,
                    s.status.code,
                    s.status.message,
                    _attributes(s.attributes),
                    [(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in s.events]
                    if s.events
                    else [],
                    [(k.trace_id.hex(), k.span_id.hex()) for k in s.links] if s.links else [],
                    scope,
                    resource,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        values[pair.key] = value.string_value if kind == "string_value" else _any_value(value, kind)
    return values


def _any_value(value: Any, kind: str | None) -> Any:
    match kind:
        case None:
            return None
        case "array_value":
            return [_any_value(v, v.WhichOneof("value")) for v in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "double_value":
            return _finite(value.double_value)
    return getattr(value, kind)


def read_json(body: bytes) -> Iterator[Span | str]:
    """Yield the spans of a JSON body, or a reason in the place of one that is none. Raises `RefusedError` 400."""
    try:
        request = orjson.loads(body)
        groups = request.get("resourceSpans", [])
        scopes = [(g.get("resource") or {}, s) for g in groups for s in g.get("scopeSpans", [])]
        found = [
            (r, (s.get("scope") or {}).get("name", ""), x) for r, s in scopes for x in s.get("spans", [])
        ]
    except (ValueError, AttributeError, TypeError) as error:
        raise RefusedError(400, f"body: {error}") from error
    for resource, scope, raw in found:
        try:
            yield _json_span(raw, str(scope), resource)
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError, binascii.Error) as error:
            yield f"span: {type(error).__name__}: {error}"


def _json_span(raw: dict[str, Any], scope: str, resource: dict[str, Any]) -> Span:
    status = raw.get("status") or {}
    code = status.get("code", 0)
    return Span(
        bytes.fromhex(raw.get("traceId", "")),
        bytes.fromhex(raw.get("spanId", "")),
        bytes.fromhex(raw.get("parentSpanId") or ""),
        str(raw.get("name", "")),
        int(raw.get("startTimeUnixNano", 0)),
        int(raw.get("endTimeUnixNano", 0)),
        _ERROR if code in (_ERROR, "STATUS_CODE_ERROR") else 0,
        str(status.get("message", "")),
        _json_attributes(raw.get("attributes")),
        [
            (str(e.get("name", "")), int(e.get("timeUnixNano", 0)), _json_attributes(e.get("attributes")))
            for e in raw.get("events") or ()
        ],
        [(str(k.get("traceId", "")), str(k.get("spanId", ""))) for k in raw.get("links") or ()],
        scope,
        _json_attributes(resource.get("attributes")),
    )


def _json_attributes(pairs: Any) -> dict[str, Any]:
    return {str(p["key"]): _json_value(p.get("value") or {}) for p in pairs or ()}


def _json_value(value: dict[str, Any]) -> Any:
    for kind, plain in value.items():
        match kind:
            case "intValue":
                return int(plain)
            case "doubleValue":
                return _finite(float(plain))
            case "arrayValue":
                return [_json_value(v) for v in plain.get("values", ())]
            case "kvlistValue":
                return _json_attributes(plain.get("values"))
        return plain
    return None


def _finite(number: float) -> float | str:
    return number if number - number == 0 else str(number)  # inf and nan are no JSON


def decode_span(span: Span, project: str) -> RunPart:
    """Return the part that stands for a span. Raises ValueError naming the field."""
    _check(span)
    trace_id, attrs = span.trace_id, span.attributes
    parent = span.parent if span.parent.strip(b"\0") else b""
    run_id = run_id_of_span(trace_id, span.span_id)
    metadata = {k: v for k, v in attrs.items() if k not in _TAKEN}
    for key in [k for k in metadata if k.startswith(_METADATA)]:
        metadata.setdefault(key[len(_METADATA) :], metadata.pop(key))
    part = RunPart(
        trace_id=trace_id,
        run_id=run_id,
        kind=Kind.SPAN,
        digest=0,
        parent_id=run_id_of_span(trace_id, parent) if parent else None,
        name=clean_text(span.name),
        run_type=_run_type(attrs),
        project=clean_text(attrs.get("langsmith.trace.session_name")) or project,
        # The LangSmith SDK gets its nanoseconds through a float, some hundred off; rounded, they are the run's again.
        start=((span.start + 500) // 1000 if is_copy(span) else span.start // 1000) or None,
        end=span.end // 1000 or None,
        facts={"w3c": [trace_id.hex(), span.span_id.hex(), parent.hex() or None]},
        payload={},
    )
    lift_metadata(part, metadata)
    _lift_attributes(part, attrs, metadata)
    _lift_outcome(part, span)
    if metadata:
        part.facts["metadata"] = metadata
    _fill_payload(part, span)
    part.digest = digest64(
        orjson.dumps(
            [span.name, span.start, span.end, span.status, span.message, len(span.events)], default=str
        ),
        orjson.dumps([part.facts, part.payload], option=orjson.OPT_NON_STR_KEYS),
    )
    return part


def _check(span: Span) -> None:
    if len(span.trace_id) != 16 or not any(span.trace_id):
        raise ValueError("trace_id: must be 16 bytes, not all zero")
    if len(span.span_id) != 8 or not any(span.span_id):
        raise ValueError("span_id: must be 8 bytes, not all zero")
    if span.parent and len(span.parent) != 8:
        raise ValueError("parent_span_id: must be 8 bytes")
    if not (0 <= span.start <= _LAST_NS and 0 <= span.end <= _LAST_NS):
        raise ValueError("time: must be between the years 1970 and 9999")


def _run_type(attrs: dict[str, Any]) -> str:
    kind = str(attrs.get("langsmith.span.kind", "")).lower()
    if kind in RUN_TYPES:
        return kind
    operation = _OPERATIONS.get(str(attrs.get("gen_ai.operation.name", "")))
    return operation or _OPENINFERENCE.get(str(attrs.get("openinference.span.kind", "")).upper(), "chain")


def _first(attrs: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        value = attrs.get(name)
        if value is not None and value != "":
            return value
    return None


def _lift_attributes(part: RunPart, attrs: dict[str, Any], metadata: dict[str, Any]) -> None:
    part.model = clean_text(_first(attrs, _MODELS) or metadata.get("ls_model_name"))
    part.provider = clean_text(_first(attrs, _PROVIDERS) or metadata.get("ls_provider"))
    part.thread_id = part.thread_id or clean_text(_first(attrs, _THREADS))
    usage = metadata.get("usage_metadata")
    if isinstance(usage, str):
        usage = metadata["usage_metadata"] = _maybe_json(usage)
    lift_usage(part, usage)
    part.prompt_tokens = _or(count(_first(attrs, _PROMPT_TOKENS)), part.prompt_tokens)
    part.completion_tokens = _or(count(_first(attrs, _COMPLETION_TOKENS)), part.completion_tokens)
    part.total_tokens = _or(count(_first(attrs, _TOTAL_TOKENS)), part.total_tokens)
    part.cost = _or(money(_first(attrs, _COSTS)), part.cost)
    complete_total(part)
    tags = attrs.get("langsmith.span.tags") or attrs.get("tag.tags")
    if tags:
        listed = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else ()
        part.facts["tags"] = list(
            dict.fromkeys(t for t in (clean_text(x).strip() for x in listed[:100]) if t)
        )


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _lift_outcome(part: RunPart, span: Span) -> None:
    failed = span.status == _ERROR
    part.status = Status.ERROR if failed else Status.OK if part.end else Status.RUNNING
    if failed:
        error = span.message
        for name, _at, attrs in span.events:
            if name == "exception":
                kind, text = attrs.get("exception.type", ""), attrs.get("exception.message", "")
                error = f"{kind}: {text}\n{attrs.get('exception.stacktrace', '')}".strip()
        part.facts["error"] = (error or "error")[:_MAX_ERROR]


def _fill_payload(part: RunPart, span: Span) -> None:
    inputs, outputs = _first(span.attributes, _INPUTS), _first(span.attributes, _OUTPUTS)
    if inputs is not None:
        part.payload["inputs"] = _maybe_json(inputs)
    if outputs is not None:
        part.payload["outputs"] = _maybe_json(outputs)
    if span.events:
        part.payload["events"] = [{"name": n, "time": at, "kwargs": attrs} for n, at, attrs in span.events]
    extra: dict[str, Any] = {"resource": span.resource} if span.resource else {}
    if span.scope:
        extra["scope"] = span.scope
    if span.links:
        extra["links"] = span.links
    if extra:
        part.payload["extra"] = extra


def _maybe_json(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def decode_spans(spans: Iterable[Span | str], bundle: Bundle, project: str) -> str:
    """Add a part for each span and quarantine the others; return the first reason, "" when all were taken."""
    reason = ""
    for span in spans:
        if isinstance(span, str):
            refused = quarantine("otlp", span, "", b"")
        else:
            try:
                bundle.parts.append(decode_span(span, project))
                continue
            except (ValueError, TypeError, RecursionError) as error:
                item = uuid_text(span.trace_id) if len(span.trace_id) == 16 else ""
                refused = quarantine("otlp", f"{error}", item, span.name.encode("utf-8", "replace"))
        bundle.quarantined.append(refused)
        reason = reason or refused.reason
    return reason


def is_copy(span: Span) -> bool:
    """Whether the LangSmith SDK made the span of a run, which it may also send as a run."""
    return made_by_langsmith({"scope": span.scope, "resource": span.resource})
