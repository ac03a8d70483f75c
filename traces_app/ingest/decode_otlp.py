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
    from collections.abc import Callable, Iterable, Iterator, Sequence

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
    "model": (
        "gen_ai.response.model",
        "gen_ai.request.model",
        "llm.model_name",
        "embedding.model_name",
        "ls_model_name",
        "langsmith.metadata.ls_model_name",
    ),
    "provider": (
        "gen_ai.provider.name",
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ls_provider",
        "langsmith.metadata.ls_provider",
    ),
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


class Source(msgspec.Struct, array_like=True):
    """What the spans of one scope have in common."""

    #: Resource and scope, where they say something.
    extra: dict[str, Any]
    #: Whether the LangSmith SDK made them of runs, which it may also send as runs.
    copy: bool


def _source(resource: dict[str, Any], scope: str) -> Source:
    said = {"resource": resource, "scope": scope}
    return Source({k: v for k, v in said.items() if v}, made_by_langsmith(scope, resource))


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
    events: Sequence[tuple[str, int, dict[str, Any]]]
    links: Sequence[tuple[str, str]]
    source: Source


_pack_into = msgspec.msgpack.Encoder().encode_into


def read_protobuf(body: bytes) -> Iterator[list[Span]]:
    """Yield the spans of a protobuf body, a trace at a time. Raises `RefusedError` 400.

    Whoever is done with a trace before the next works in memory that is still at hand, and takes a tenth less time.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise RefusedError(400, f"body: {error}") from error
    by_trace: dict[bytes, list[tuple[Any, Source]]] = defaultdict(list)
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope_spans in group.scope_spans:
            source = _source(resource, scope_spans.scope.name)
            for span in scope_spans.spans[:]:
                by_trace[span.trace_id].append((span, source))
    for trace_id, found in by_trace.items():
        yield [_protobuf_span(trace_id, *one) for one in found]


def _protobuf_span(trace_id: bytes, s: Any, source: Source) -> Span:
    events, links = s.events, s.links
    code, message = (s.status.code, s.status.message) if s.HasField("status") else (0, "")
    return Span(
        trace_id,
        s.span_id,
        s.parent_span_id,
        s.name,
        s.start_time_unix_nano,
        s.end_time_unix_nano,
        code,
        message,
        _attributes(s.attributes),
        [(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in events] if events else (),
        [(k.trace_id.hex(), k.span_id.hex()) for k in links] if links else (),
        source,
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
                source = _source(resource, (spans.scope.name if spans.scope else None) or "")
                found += [_json_span_or_why_not(raw, source) for raw in spans.spans or ()]
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


def _json_span_or_why_not(raw: msgspec.Raw, source: Source) -> Span | Unread:
    try:
        return _json_span(_span(raw), source)
    except _UNREADABLE as error:
        return _reason(error, "span"), bytes(raw)


def _json_span(s: _Span, source: Source) -> Span:
    status = s.status or _Status()
    return Span(
        _hex(s.trace_id, "traceId"),
        _hex(s.span_id, "spanId"),
        _hex(s.parent_span_id, "parentSpanId"),
        s.name or "",
        _time(s.start_time_unix_nano, "startTimeUnixNano"),
        _time(s.end_time_unix_nano, "endTimeUnixNano"),
        _ERROR if status.code in (_ERROR, "STATUS_CODE_ERROR") else 0,
        status.message or "",
        _json_attributes(s.attributes),
        [
            (e.name or "", _whole(e.time_unix_nano, "timeUnixNano"), _json_attributes(e.attributes))
            for e in s.events or ()
        ],
        [(k.trace_id or "", k.span_id or "") for k in s.links or ()],
        source,
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


def _time(number: int | str | None, name: str) -> int:
    """Protobuf's times cannot be negative."""
    time = _whole(number, name)
    if time < 0:
        raise ValueError(f"{name}: must not be before 1970")
    return time


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


#: What becomes a column of the same name once it is clean.
_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "model": clean_text,
    "provider": clean_text,
    "prompt_tokens": count,
    "completion_tokens": count,
    "total_tokens": count,
    "cost": money,
}


class _Meaning:
    """What attributes of some names say, by the keys of `_NAMES`, and what of them stays as metadata.

    Spans of one kind bring the same names again and again.
    """

    def __init__(self, names: Iterable[str]) -> None:
        present = dict.fromkeys(names)
        #: The names of each thing that is said, the best first.
        self._names = {
            what: found
            for what, known in _NAMES.items()
            if (found := [name for name in known if name in present])
        }
        self._best = [(what, found[0]) for what, found in self._names.items()]
        self._taken = [name for what, found in self._names.items() if what in _TAKEN for name in found]
        self._prefixed = [name for name in present if name.startswith(_METADATA)]
        #: What becomes a column of the same name, and what makes it clean.
        self.columns = [(what, clean) for what, clean in _COLUMNS.items() if what in self._names]

    def sort_out(self, attributes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the attributes say and what stays of them; they are used up."""
        said = {what: attributes[name] for what, name in self._best}
        if not all(said.values()):  # the next best name may say something
            said = {what: value for what in said if (value := self._first(what, attributes)) is not None}
        for name in self._taken:
            del attributes[name]
        if self._prefixed:
            named = {name.removeprefix(_METADATA): attributes.pop(name) for name in self._prefixed}
            return said, {**named, **attributes}
        return said, attributes

    def _first(self, what: str, attributes: dict[str, Any]) -> Any:
        values = map(attributes.get, self._names[what])
        return next((value for value in values if value is not None and value != ""), None)


_MEANINGS: dict[tuple[str, ...], _Meaning] = {}
_MAX_MEANINGS, _MAX_NAMES = 256, 64  # names come from senders
_MAX_NAME = 100


def _meaning_of(attributes: dict[str, Any]) -> _Meaning:
    names = tuple(attributes)
    meaning = _MEANINGS.get(names)
    if meaning is None:
        meaning = _Meaning(names)
        if len(names) <= _MAX_NAMES and all(len(name) <= _MAX_NAME for name in names):
            if len(_MEANINGS) >= _MAX_MEANINGS:
                _MEANINGS.clear()
            _MEANINGS[names] = meaning
    return meaning


def _decode_span(span: Span, project: str, scratch: bytearray) -> RunPart:
    """Return the part that stands for a span. Raises ValueError naming the field."""
    trace_id, span_id = span.trace_id, span.span_id
    _check(trace_id, span_id, span)
    _pack_into(span, scratch)
    parent = b"" if span.parent == _NO_SPAN else span.parent
    meaning = _meaning_of(span.attributes)
    said, metadata = meaning.sort_out(span.attributes)
    part = RunPart(
        trace_id,
        run_id_of_span(trace_id, span_id),
        _SPAN,
        digest64(scratch),
        {"w3c": [trace_id.hex(), span_id.hex(), parent.hex() or None]},
        {},
        run_id_of_span(trace_id, parent) if parent else None,
        clean_text(span.name),
        _run_type(said),
        clean_text(said.get("project")) or project,
        # The LangSmith SDK gets its nanoseconds through a float, some hundred off; rounded, they are the run's again.
        ((span.start + 500) // 1000 if span.source.copy else span.start // 1000) or None,
        span.end // 1000 or None,
    )
    if metadata:
        lift_metadata(part, metadata)
        part.facts["metadata"] = metadata
    _lift_said(part, meaning.columns, said, metadata)
    _lift_outcome(part, span)
    _fill_payload(part, span, said)
    return part


def _check(trace_id: bytes, span_id: bytes, span: Span) -> None:
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        raise ValueError("trace_id: must be 16 bytes, not all zero")
    if len(span_id) != 8 or span_id == _NO_SPAN:
        raise ValueError("span_id: must be 8 bytes, not all zero")
    if span.parent and len(span.parent) != 8:
        raise ValueError("parent_span_id: must be 8 bytes")


def _run_type(said: dict[str, Any]) -> str:
    if "kind" in said and (kind := str(said["kind"]).lower()) in RUN_TYPES:
        return kind
    if "operation" in said and (run_type := _OPERATIONS.get(str(said["operation"]))):
        return run_type
    if "openinference_kind" in said:
        return _OPENINFERENCE.get(str(said["openinference_kind"]).upper(), "chain")
    return "chain"


def _lift_said(
    part: RunPart,
    columns: Sequence[tuple[str, Callable[[Any], Any]]],
    said: dict[str, Any],
    metadata: dict[str, Any],
) -> None:
    if "usage_metadata" in metadata:
        usage = metadata["usage_metadata"] = opened(metadata["usage_metadata"])
        lift_usage(part, usage)
    if columns:
        for what, clean in columns:
            if (cleaned := clean(said.get(what))) is not None:
                setattr(part, what, cleaned)
        complete_total(part)
    if "thread_id" in said and not part.thread_id:
        part.thread_id = clean_text(said["thread_id"])
    if tags := said.get("tags"):
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
    extra = span.source.extra
    if span.links:
        extra = {**extra, "links": span.links}
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
                if span.source.copy:
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
