"""Read what a request's headers say of its run; malformed families were dropped by the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract import headers as names
from contract.headers import parse_inbound
from fleet.sdk.propagation import Carried, langsmith_baggage
from fleet.worker.live import CallFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

_FAMILIES = (names.TRACEPARENT, names.TRACESTATE, names.LANGSMITH_TRACE, names.BAGGAGE)
_TRACE = frozenset(name.encode() for name in _FAMILIES)
_NOT_CONFIGURABLE = frozenset(
    {*_FAMILIES, "x-api-key", "x-tenant-id", "x-service-key", "x-forwarded-for", "x-real-ip"}
)
_METADATA = {
    names.X_ROUTING_VERSION: "agentic.routing_version",
    names.X_ROUTING_DIGEST: "agentic.routing_digest",
    names.X_DISPATCH_ID: "agentic.dispatch_id",
}


def read_facts(raw: Iterable[tuple[bytes, bytes]]) -> CallFacts:
    """Return the facts of one request out of its headers as ASGI has them."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in raw
        if name[:2] == b"x-" or name in _TRACE
    }
    inbound = parse_inbound(headers)
    metadata = {_METADATA[name]: value for name, value in headers.items() if name in _METADATA}
    if inbound.request_id:
        metadata["agentic.request_id"] = inbound.request_id
    return CallFacts(
        carried=Carried(
            request_id=inbound.request_id or "",
            traceparent=headers[names.TRACEPARENT] if inbound.traceparent else "",
            tracestate=inbound.tracestate or "",
            langsmith_trace=inbound.langsmith_trace.raw if inbound.langsmith_trace else "",
            baggage=langsmith_baggage(inbound.baggage) if names.BAGGAGE in headers else "",
        ),
        metadata=metadata,
        configurable={
            name: value
            for name, value in headers.items()
            if name not in _NOT_CONFIGURABLE and not name.startswith("x-agentic-")
        },
    )
