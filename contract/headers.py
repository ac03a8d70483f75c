"""The four header families that carry one action across processes. Parsing is total: what is malformed is dropped
and named in `Inbound.dropped`, never raised; so nothing a caller sends can fail a run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
BAGGAGE = "baggage"
LANGSMITH_TRACE = "langsmith-trace"
X_REQUEST_ID = "x-request-id"
X_POOL = "x-agentic-pool"
X_ROUTING_VERSION = "x-agentic-routing-version"
X_ROUTING_DIGEST = "x-agentic-routing-digest"
X_DISPATCH_ID = "x-agentic-dispatch-id"
X_GRAPH_DIGEST = "x-agentic-graph-digest"
X_LANGSMITH_RUN_ID = "x-langsmith-run-id"
#: On a 503: the pool began nothing, so that the request may be sent to another replica.
X_NOT_BEGUN = "x-agentic-not-begun"

_FAMILIES = frozenset({TRACEPARENT, TRACESTATE, BAGGAGE, LANGSMITH_TRACE, X_REQUEST_ID})

MAX_BAGGAGE = 8_192  # W3C: what every hop must carry
MAX_BAGGAGE_ITEMS = 180
MAX_TRACESTATE = 512
MAX_DOTTED_ORDER = 16_384  # some 280 levels of nesting

#: Named in `Inbound.dropped` when items of the baggage said where to send things; the rest of the baggage is kept.
BAGGAGE_ADDRESS = "baggage-address"

_METADATA, _TAGS, _PROJECT = "langsmith-metadata", "langsmith-tags", "langsmith-project"
#: LangSmith's own items that move a trace elsewhere. A caller decides what its run is called, never where it is sent.
_ADDRESSES = frozenset({"langsmith-replicas", "langsmith-address", "langsmith-endpoint"})
_NAMES_A_URL = re.compile(r"[a-z][a-z0-9+.\-]*:/|//", re.IGNORECASE | re.ASCII)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?", re.ASCII)
_TRACESTATE_ITEM = re.compile(
    r"[a-z0-9][a-z0-9_\-*/]{0,240}(?:@[a-z][a-z0-9_\-*/]{0,13})?=[ -+\--<>-~]{1,256}"
)
_DOTTED_SEGMENT = re.compile(
    r"(\d{8}T\d{12}Z)([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})", re.ASCII
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAGGAGE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_A_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}")


@dataclass(frozen=True, slots=True)
class TraceParent:
    """W3C trace context: `trace_id` hex 32, `span_id` hex 16, both lower case and not zero."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


@dataclass(frozen=True, slots=True)
class DottedOrder:
    """LangSmith's place of a run in its tree; the last segment is the parent of whoever receives the header."""

    raw: str
    trace_id: str
    parent_run_id: str

    def __str__(self) -> str:
        return self.raw


@dataclass(frozen=True, slots=True)
class Baggage:
    """What LangSmith puts in `baggage`; `other` keeps foreign items as they came, encoded.

    `refused` counts items that named an address. They are in none of the other fields, so no hop sees them again.
    """

    project: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    refused: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return ",".join(self._items())

    def _items(self) -> Iterator[str]:
        if self.metadata:
            yield f"{_METADATA}={quote(json.dumps(self.metadata, separators=(',', ':')), safe='')}"
        if self.tags:
            yield f"{_TAGS}={quote(','.join(self.tags), safe='')}"
        if self.project:
            yield f"{_PROJECT}={quote(self.project, safe='')}"
        yield from self.other


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a request carries, all valid; `dropped` names what was left out: malformed families, addresses."""

    traceparent: TraceParent | None = None
    tracestate: str | None = None
    langsmith_trace: DottedOrder | None = None
    baggage: Baggage = field(default_factory=Baggage)
    request_id: str | None = None
    dropped: tuple[str, ...] = ()


_NOTHING = Inbound()


def parse_inbound(headers: Mapping[str, str]) -> Inbound:
    """Parse the families out of headers of any case; never raises."""
    raw = {name.lower(): value for name, value in headers.items() if isinstance(name, str)}
    if _FAMILIES.isdisjoint(raw):
        return _NOTHING
    traceparent = parse_traceparent(raw.get(TRACEPARENT))
    # A tracestate without its traceparent belongs to nobody (W3C trace context, 3.3).
    tracestate = parse_tracestate(raw.get(TRACESTATE)) if traceparent else None
    langsmith_trace = parse_dotted_order(raw.get(LANGSMITH_TRACE))
    baggage = parse_baggage(raw.get(BAGGAGE))
    request_id = parse_request_id(raw.get(X_REQUEST_ID))
    parsed = {
        TRACEPARENT: traceparent,
        TRACESTATE: tracestate,
        LANGSMITH_TRACE: langsmith_trace,
        BAGGAGE: baggage,
        X_REQUEST_ID: request_id,
    }
    dropped = tuple(name for name, value in parsed.items() if value is None and raw.get(name))
    return Inbound(
        traceparent=traceparent,
        tracestate=tracestate,
        langsmith_trace=langsmith_trace,
        baggage=baggage or _NOTHING.baggage,
        request_id=request_id,
        dropped=(*dropped, BAGGAGE_ADDRESS) if baggage and baggage.refused else dropped,
    )


def inject(
    *,
    traceparent: TraceParent | None = None,
    tracestate: str | None = None,
    langsmith_trace: DottedOrder | None = None,
    baggage: Baggage | None = None,
    request_id: str | None = None,
) -> dict[str, str]:
    """The headers that hand the given context on; `parse_inbound` of the result gives it back."""
    values = {
        TRACEPARENT: str(traceparent) if traceparent else "",
        TRACESTATE: tracestate if traceparent and tracestate else "",
        LANGSMITH_TRACE: langsmith_trace.raw if langsmith_trace else "",
        BAGGAGE: str(baggage) if baggage else "",
        X_REQUEST_ID: request_id or "",
    }
    return {name: value for name, value in values.items() if value}


def parse_parent(configurable: Mapping[str, object]) -> dict[str, str] | None:
    """What `langsmith.tracing_context(parent=…)` takes, from a LangGraph `configurable`, or None; never raises.

    A server copies `langsmith-trace` there, and either `baggage` itself or its three LangSmith items, decoded.
    """
    order = parse_dotted_order(configurable.get(LANGSMITH_TRACE))
    if order is None:
        return None
    baggage = parse_baggage(configurable.get(BAGGAGE))
    if baggage is None:
        project, metadata, tags = (configurable.get(name) for name in (_PROJECT, _METADATA, _TAGS))
        baggage = Baggage(
            project=project if isinstance(project, str) else None,
            metadata=metadata if isinstance(metadata, dict) else {},
            tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else (),
        )
    return inject(langsmith_trace=order, baggage=baggage)


def parse_traceparent(value: object) -> TraceParent | None:
    match = _TRACEPARENT.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 512 else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    known = version == "00" and rest is None
    if version == "ff" or (version == "00" and not known) or set(trace_id) == {"0"} or set(span_id) == {"0"}:
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & 1))


def parse_tracestate(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > MAX_TRACESTATE:
        return None
    items = [item.strip(" \t") for item in value.split(",")]
    members = [item for item in items if item]
    keys = {item.partition("=")[0] for item in members}
    if not members or len(members) > 32 or len(keys) != len(members):
        return None
    return ",".join(members) if all(_TRACESTATE_ITEM.fullmatch(item) for item in members) else None


def parse_dotted_order(value: object) -> DottedOrder | None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_DOTTED_ORDER:
        return None
    raw = value.strip()
    segments = [_DOTTED_SEGMENT.fullmatch(segment) for segment in raw.split(".")]
    ids = [match[2].lower() for match in segments if match and _is_instant(match[1])]
    if len(ids) != len(segments):
        return None
    return DottedOrder(raw, trace_id=ids[0], parent_run_id=ids[-1])


def parse_baggage(value: object) -> Baggage | None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_BAGGAGE:
        return None
    items = [item.strip(" \t") for item in value.split(",")]
    pairs = [_baggage_pair(item) for item in items]
    if len(items) > MAX_BAGGAGE_ITEMS or not all(pairs):
        return None
    # The last one wins, as in LangSmith's own reader: SDKs prepend what their caller supplied.
    ours = {key: text for key, text in filter(None, pairs) if key in (_METADATA, _TAGS, _PROJECT)}
    metadata = _metadata(ours.get(_METADATA, "{}"))
    if metadata is None:
        return None
    foreign = [(item, pair) for item, pair in zip(items, pairs, strict=True) if pair and pair[0] not in ours]
    other = tuple(item for item, pair in foreign if not _names_an_address(*pair, item))
    tags = tuple(tag for tag in ours.get(_TAGS, "").split(",") if tag)
    return Baggage(ours.get(_PROJECT) or None, metadata, tags, other, refused=len(foreign) - len(other))


def parse_request_id(value: object) -> str | None:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else None


def is_uuid(value: object) -> bool:
    """Whether the value is a UUID in its canonical form; checked before an id enters a URL."""
    return isinstance(value, str) and _A_UUID.fullmatch(value) is not None


def _baggage_pair(item: str) -> tuple[str, str] | None:
    """Key and decoded value of one item, without its `;properties`; None when malformed."""
    key, equals, rest = item.partition("=")
    value = rest.partition(";")[0].strip(" \t")
    key = key.strip(" \t")
    if not equals or not _TOKEN.fullmatch(key) or not _BAGGAGE_VALUE.fullmatch(value):
        return None
    if _BROKEN_ESCAPE.search(value) or not rest.isascii() or not rest.isprintable():
        return None
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else (key, text)


def _names_an_address(key: str, value: str, item: str) -> bool:
    """Whether the item is one of LangSmith's addresses, or its value or a property names a URL."""
    return key.lower() in _ADDRESSES or any(_NAMES_A_URL.search(text) for text in (value, unquote(item)))


def _metadata(text: str) -> dict[str, object] | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _is_instant(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%dT%H%M%S%fZ")  # noqa: DTZ007 - only whether it parses, as LangSmith will
    except ValueError:
        return False
    return True
