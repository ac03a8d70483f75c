"""OTLP trace requests, protobuf or JSON, → run parts.

Both forms are read into the same plain span first; GenAI, OpenInference and LangSmith attribute names are known. What
is neither input, output nor a column stays as metadata under its own name.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from traces_app.ingest.decode_langsmith import RUN_TYPES, quarantine
from traces_app.ingest.http import RefusedError
from traces_app.ingest.lift import (
    clean_text,
    complete_total,
    count,
    lift_metadata,
    lift_usage,
    money,
    tells_of_failure,
)
from traces_app.store.copies import made_by_langsmith
from traces_app.store.pack import opened
from traces_app.store.records import Bundle, Copy, Kind, RunPart, Status, digest64, run_id_of_span, uuid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: The names each thing goes by, the best first.
_NAMES = {
    "inputs": (
        "gen_ai.prompt",
        "gen_ai.input.messages",
        "input.value",
        "gen_ai.tool.call.arguments",
        "traceloop.entity.input",
    ),
    "outputs": (
        "gen_ai.completion",
        "gen_ai.output.messages",
        "output.value",
        "gen_ai.tool.call.result",
        "traceloop.entity.output",
    ),
    "tags": ("langsmith.span.tags", "tag.tags"),
    "trace_name": ("langsmith.trace.name",),
    "project": ("langsmith.trace.session_name",),
    "kind": ("langsmith.span.kind",),
    "operation": ("gen_ai.operation.name",),
    "openinference_kind": ("openinference.span.kind",),
    "model": ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "completion_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "total_tokens": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"),
    "cost": ("gen_ai.usage.cost", "llm.cost.total"),
    "thread_id": ("gen_ai.conversation.id", "session.id"),
}
#: What is stored elsewhere and does not stay as metadata.
_TAKEN = frozenset({"inputs", "outputs", "tags", "trace_name"})
_MEANING = {
    name: (what, rank, what in _TAKEN) for what, names in _NAMES.items() for rank, name in enumerate(names)
}
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
_MAX_ERROR = 100_000
_ERROR = 2
# A member of an enum takes as long to look up as ten names.
_SPAN = Kind.SPAN
_OPEN, _DONE, _FAILED = Status.RUNNING, Status.OK, Status.ERROR
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)


class Span(msgspec.Struct, gc=False, array_like=True):
    """A span of either wire form, in plain values; packed, they are what its digest is of."""

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
    #: Whether the LangSmith SDK made it of a run, which it may also send as a run.
    copy: bool


_pack_into = msgspec.msgpack.Encoder().encode_into


def read_protobuf(body: bytes) -> Iterator[list[Span]]:
    """Yield the spans of a protobuf body, a trace at a time. Raises `RefusedError` 400.

    Whoever is done with a trace before the next works in memory that is still at hand, and takes a tenth less time.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise RefusedError(400, f"body: {error}") from error
    by_trace: dict[bytes, list[tuple[Any, str, dict[str, Any], bool]]] = defaultdict(list)
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope_spans in group.scope_spans:
            scope = scope_spans.scope.name
            copy = made_by_langsmith(scope, resource)
            for span in scope_spans.spans[:]:
                by_trace[span.trace_id].append((span, scope, resource, copy))
    for found in by_trace.values():
        yield [_protobuf_span(*one) for one in found]


def _protobuf_span(s: Any, scope: str, resource: dict[str, Any], copy: bool) -> Span:
    status = s.status
    events, links = s.events, s.links
    return Span(
        s.trace_id,
        s.span_id,
        s.parent_span_id,
        s.name,
        s.start_time_unix_nano,
        s.end_time_unix_nano,
        status.code,
        status.message,
        _attributes(s.attributes),
        [(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in events] if events else [],
        [(k.trace_id.hex(), k.span_id.hex()) for k in links] if links else [],
        scope,
        resource,
        copy,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    values = {}
    for pair in pairs[:]:  # a list of them is made in one go
        value = pair.value
        # Most are texts or numbers, and one that says something needs no second question.
        values[pair.key] = (
            value.string_value or value.int_value or _any_value(value, value.WhichOneof("value"))
        )
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


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Values | None = None
    kvlist_value: _Attributes | None = None
    bytes_value: str | None = None


class _Values(msgspec.Struct):
    values: list[_Value] | None = None


class _Attribute(msgspec.Struct):
    key: str
    value: _Value | None = None


class _Attributes(msgspec.Struct):
    values: list[_Attribute] | None = None


class _Status(msgspec.Struct):
    code: int | str | None = None
    message: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    name: str | None = None
    time_unix_nano: int | str | None = None
    attributes: list[_Attribute] | None = None


class _Link(msgspec.Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    status: _Status | None = None
    attributes: list[_Attribute] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None


class _Scope(msgspec.Struct):
    name: str | None = None


class _ScopeSpans(msgspec.Struct):
    scope: _Scope | None = None
    spans: list[msgspec.Raw] | None = None
    """One that is none costs the others nothing."""


class _Resource(msgspec.Struct):
    attributes: list[_Attribute] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_request = msgspec.json.Decoder(_Request).decode
_span = msgspec.json.Decoder(_Span).decode


#: Why a span of a JSON body is none, and what was sent.
Unread = tuple[str, bytes]


def read_json(body: bytes) -> Iterator[list[Span | Unread]]:
    """Yield the spans of a JSON body, those that cannot be read in their places. Raises `RefusedError` 400."""
    found: list[Span | Unread] = []
    try:
        for group in _request(body).resource_spans or ():
            resource = _json_attributes(group.resource.attributes if group.resource else None)
            for spans in group.scope_spans or ():
                scope = (spans.scope.name if spans.scope else None) or ""
                found += [_json_span_or_why_not(raw, scope, resource) for raw in spans.spans or ()]
    except _UNREADABLE as error:
        raise RefusedError(400, _reason(error, "body")) from error
    yield found


_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


def _reason(error: Exception, whole: str) -> str:
    """What is wrong, behind the name of the field it is wrong with."""
    if type(error) is ValueError:  # one of ours
        return str(error)
    said, _, place = str(error).partition(" - at `$")
    return f"{place.strip('.`') or whole}: {said}"


def _json_span_or_why_not(raw: msgspec.Raw, scope: str, resource: dict[str, Any]) -> Span | Unread:
    try:
        return _json_span(_span(raw), scope, resource)
    except _UNREADABLE as error:
        return _reason(error, "span"), bytes(raw)


def _json_span(s: _Span, scope: str, resource: dict[str, Any]) -> Span:
    status = s.status or _Status()
    return Span(
        _hex(s.trace_id, "traceId"),
        _hex(s.span_id, "spanId"),
        _hex(s.parent_span_id, "parentSpanId"),
        s.name or "",
        _whole(s.start_time_unix_nano, "startTimeUnixNano"),
        _whole(s.end_time_unix_nano, "endTimeUnixNano"),
        _ERROR if status.code in (_ERROR, "STATUS_CODE_ERROR") else 0,
        status.message or "",
        _json_attributes(s.attributes),
        [
            (e.name or "", _whole(e.time_unix_nano, "timeUnixNano"), _json_attributes(e.attributes))
            for e in s.events or ()
        ],
        [(k.trace_id or "", k.span_id or "") for k in s.links or ()],
        scope,
        resource,
        made_by_langsmith(scope, resource),
    )


def _hex(text: str | None, name: str) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        raise ValueError(f"{name}: must be hexadecimal") from None


def _whole(number: int | str | None, name: str) -> int:
    """A number of 64 bits is a text in JSON, and some send a number."""
    try:
        whole = int(number or 0)
    except ValueError:
        raise ValueError(f"{name}: must be a whole number") from None
    if not -(2**63) <= whole < 2**64:
        raise ValueError(f"{name}: must be a number of 64 bits")
    return whole


def _json_attributes(pairs: list[_Attribute] | None) -> dict[str, Any]:
    return {
        pair.key: None if pair.value is None else _json_value(pair.value, pair.key) for pair in pairs or ()
    }


def _json_value(value: _Value, key: str) -> Any:
    if value.int_value is not None:
        return _whole(value.int_value, f"{key}.intValue")
    if value.double_value is not None:
        return _double(value.double_value, key)
    if value.array_value is not None:
        return [_json_value(v, key) for v in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _json_attributes(value.kvlist_value.values)
    plain = (value.string_value, value.bool_value, value.bytes_value)
    return next((one for one in plain if one is not None), None)


def _double(number: float | str, key: str) -> float | str:
    """Infinity and NaN are texts in JSON."""
    try:
        return _finite(float(number))
    except ValueError:
        raise ValueError(f"{key}.doubleValue: must be a number") from None


def _finite(number: float) -> float | str:
    return number if number - number == 0 else str(number)  # inf and nan are no JSON


def _decode_span(span: Span, project: str, scratch: bytearray) -> RunPart:
    """Return the part that stands for a span. Raises ValueError naming the field."""
    _check(span)
    _pack_into(span, scratch)
    trace_id = span.trace_id
    parent = b"" if span.parent == _NO_SPAN else span.parent
    said, metadata = _sort_out(span.attributes)
    part = RunPart(
        trace_id,
        run_id_of_span(trace_id, span.span_id),
        _SPAN,
        digest64(scratch),
        {"w3c": [trace_id.hex(), span.span_id.hex(), parent.hex() or None]},
        {},
        run_id_of_span(trace_id, parent) if parent else None,
        clean_text(span.name),
        _run_type(said),
        clean_text(said.get("project")) or project,
        # The LangSmith SDK gets its nanoseconds through a float, some hundred off; rounded, they are the run's again.
        start=((span.start + 500) // 1000 if span.copy else span.start // 1000) or None,
        end=span.end // 1000 or None,
    )
    lift_metadata(part, metadata)
    _lift_attributes(part, said, metadata)
    _lift_outcome(part, span)
    if metadata:
        part.facts["metadata"] = metadata
    _fill_payload(part, span, said)
    return part


def _sort_out(attributes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the attributes say, by the keys of `_NAMES`, and what stays as metadata."""
    said: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    metadata: dict[str, Any] = {}
    prefixed: dict[str, Any] = {}
    for name, value in attributes.items():
        if name not in _MEANING:
            if name.startswith(_METADATA):
                prefixed[name[len(_METADATA) :]] = value
            else:
                metadata[name] = value
            continue
        what, rank, taken = _MEANING[name]
        if value is not None and value != "" and (what not in said or rank <= ranks[what]):
            said[what], ranks[what] = value, rank
        if not taken:
            metadata[name] = value
    return said, {**prefixed, **metadata} if prefixed else metadata


def _check(span: Span) -> None:
    if len(span.trace_id) != 16 or span.trace_id == _NO_TRACE:
        raise ValueError("trace_id: must be 16 bytes, not all zero")
    if len(span.span_id) != 8 or span.span_id == _NO_SPAN:
        raise ValueError("span_id: must be 8 bytes, not all zero")
    if span.parent and len(span.parent) != 8:
        raise ValueError("parent_span_id: must be 8 bytes")
    if span.start < 0 or span.end < 0:
        raise ValueError("time: must not be before 1970")


def _run_type(said: dict[str, Any]) -> str:
    kind = str(said.get("kind", "")).lower()
    if kind in RUN_TYPES:
        return kind
    operation = _OPERATIONS.get(str(said.get("operation", "")))
    return operation or _OPENINFERENCE.get(str(said.get("openinference_kind", "")).upper(), "chain")


#: What becomes a column of the same name once it is clean.
_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "model": clean_text,
    "provider": clean_text,
    "prompt_tokens": count,
    "completion_tokens": count,
    "total_tokens": count,
    "cost": money,
}


def _lift_attributes(part: RunPart, said: dict[str, Any], metadata: dict[str, Any]) -> None:
    usage = metadata.get("usage_metadata")
    if usage is not None:
        usage = metadata["usage_metadata"] = opened(usage)
        lift_usage(part, usage)
    for what, value in said.items():
        clean = _COLUMNS.get(what)
        if clean is not None and (cleaned := clean(value)) is not None:
            setattr(part, what, cleaned)
    if not part.model:
        part.model = clean_text(metadata.get("ls_model_name"))
    if not part.provider:
        part.provider = clean_text(metadata.get("ls_provider"))
    if not part.thread_id:
        part.thread_id = clean_text(said.get("thread_id"))
    complete_total(part)
    tags = said.get("tags")
    if tags:
        listed = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else ()
        part.facts["tags"] = list(
            dict.fromkeys(t for t in (clean_text(x).strip() for x in listed[:100]) if t)
        )


def _lift_outcome(part: RunPart, span: Span) -> None:
    failed = span.status == _ERROR
    if failed:
        error = span.message
        for name, _at, attrs in span.events:
            if name == "exception":
                kind, text = attrs.get("exception.type", ""), attrs.get("exception.message", "")
                error = f"{kind}: {text}\n{attrs.get('exception.stacktrace', '')}".strip()
        part.facts["error"] = (error or "error")[:_MAX_ERROR]
        failed = tells_of_failure(error)
    part.status = _FAILED if failed else _DONE if part.end else _OPEN


def _fill_payload(part: RunPart, span: Span, said: dict[str, Any]) -> None:
    for name in ("inputs", "outputs"):
        if name in said:
            part.payload[name] = said[name]
    if span.events:
        part.payload["events"] = [{"name": n, "time": at, "kwargs": attrs} for n, at, attrs in span.events]
    extra: dict[str, Any] = {"resource": span.resource} if span.resource else {}
    if span.scope:
        extra["scope"] = span.scope
    if span.links:
        extra["links"] = span.links
    if extra:
        part.payload["extra"] = extra


def decode_spans(spans: Iterable[Span | Unread], bundle: Bundle, project: str) -> None:
    """Add a part for each span of whole traces, quarantine the others, note the traces that hold nothing but copies."""
    own: set[bytes] = set()
    copied: list[RunPart] = []
    scratch = bytearray()  # a span at a time is packed into the same memory
    for span in spans:
        if isinstance(span, tuple):
            refused = quarantine("otlp", span[0], "", span[1])
        else:
            try:
                part = _decode_span(span, project, scratch)
                bundle.parts.append(part)
                if span.copy:
                    copied.append(part)
                else:
                    own.add(part.trace_id)
                continue
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                item = uuid_text(span.trace_id) if len(span.trace_id) == 16 else ""
                refused = quarantine("otlp", f"{error}", item, span.name.encode("utf-8", "replace"))
        bundle.quarantined.append(refused)
    bundle.copies += [_copy(part) for part in copied if part.trace_id not in own]


def _copy(part: RunPart) -> Copy:
    if part.parent_id is None and part.start is not None:
        return Copy(trace_id=part.trace_id, project=part.project, name=part.name, start=part.start)
    return Copy(trace_id=part.trace_id)
