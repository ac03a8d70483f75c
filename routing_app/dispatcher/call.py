"""One request on its way through the dispatcher: what came in, what is known of it, what was sent back."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contract.headers import BAGGAGE, BAGGAGE_ADDRESS, inject, parse_inbound
from routing_app.dispatcher.body import ClientGone
from routing_app.dispatcher.ids import new_traceparent, new_uuid
from routing_app.dispatcher.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_app.keyring import KeyFacts
    from routing_app.dispatcher.asgi_types import Headers, Receive, Scope, Send

#: A request this short never pays for a watcher.
WATCH_AFTER_S = 0.05

_FAMILIES = (b"traceparent", b"tracestate", b"langsmith-trace", b"baggage")


class Call:
    """Mutable on purpose: filled step by step, turned into one dispatch record at the end."""

    __slots__ = (
        "headers",
        "key",
        "method",
        "path",
        "query",
        "receive",
        "record",
        "record_wanted",
        "scope",
        "send",
        "started",
        "started_at",
        "trace_headers",
        "watch",
    )  # fmt: skip

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, path: str, headers: Mapping[bytes, bytes]
    ) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.method: str = scope["method"]
        self.path = path
        self.query: bytes = scope.get("query_string") or b""
        self.headers = headers
        self.key: KeyFacts | None = None
        self.started_at = time.perf_counter()
        #: Set once a first byte went to the caller.
        self.started = False
        #: Only requests that decide about or reach a pool leave a dispatch record.
        self.record_wanted = False
        #: Trace headers as they go to the pool.
        self.trace_headers: Headers = []
        self.watch: ClientWatch | None = None
        self.record = Record(
            id=new_uuid(),
            received_at=datetime.now(UTC),
            request_id="",
            method=self.method,
            path=path[:500],
            caller=headers.get(b"user-agent", b"")[:200].decode("latin-1"),
        )

    def adopt_key(self, key: KeyFacts) -> None:
        self.key = key
        self.record.key_prefix, self.record.key_name = key.prefix, key.name

    def adopt_trace(self) -> None:
        """Read the four header families; what an untrusted key sends starts a new root and is kept as a link."""
        record = self.record
        trusted = self.key is not None and self.key.trusted_tracing
        headers = self.headers
        if headers.keys().isdisjoint(_FAMILIES):
            record.request_id = self._request_id()
            self._mint()
            return
        inbound = parse_inbound(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        )
        record.request_id = inbound.request_id or record.id
        record.dropped_headers = inbound.dropped
        if inbound.langsmith_trace is not None:
            record.ls_trace_id = inbound.langsmith_trace.trace_id
            record.ls_parent_run_id = inbound.langsmith_trace.parent_run_id
            if trusted:
                self._pass_on(b"langsmith-trace")
        if trusted:
            record.ls_project = inbound.baggage.project or ""
            if BAGGAGE_ADDRESS in inbound.dropped:
                self.trace_headers += [
                    (name.encode(), value.encode("latin-1"))
                    for name, value in inject(baggage=inbound.baggage).items()
                ]
            elif BAGGAGE not in inbound.dropped:
                self._pass_on(b"baggage")
        if inbound.traceparent is not None:
            record.w3c_parent_id = inbound.traceparent.span_id
        if inbound.traceparent is not None and trusted:
            record.w3c_trace_id = inbound.traceparent.trace_id
            self._pass_on(b"traceparent")
            if "tracestate" not in inbound.dropped:
                self._pass_on(b"tracestate")
        else:
            self._mint()

    def _request_id(self) -> str:
        """The caller's, or the record's own."""
        given = self.headers.get(b"x-request-id")
        if given is None:
            return self.record.id
        return parse_inbound({"x-request-id": given.decode("latin-1")}).request_id or self.record.id

    def _pass_on(self, name: bytes) -> None:
        value = self.headers.get(name)
        if value is not None:
            self.trace_headers.append((name, value))

    def _mint(self) -> None:
        self.record.w3c_trace_id, header = new_traceparent()
        self.record.w3c_minted = True
        self.trace_headers.append((b"traceparent", header.encode()))

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_at) * 1000

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers; called once."""
        self.started = True
        self.record.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def chunk(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last bytes. The watcher is called off first: to it, a finished answer looks like a lost client."""
        self.unwatch()
        await self.send({"type": "http.response.body", "body": data, "more_body": False})

    async def answer(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """A whole JSON answer at once. One that comes before the trace was read still says its request id."""
        self.record.request_id = self.record.request_id or self._request_id()
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.record.request_id.encode("latin-1")),
        ]
        await self.start(status, fields + (headers or []))
        await self.finish(b"" if self.method == "HEAD" else body)

    def watch_client(self) -> None:
        self.watch = ClientWatch(self.receive)

    def unwatch(self) -> None:
        if self.watch is not None:
            self.watch.close()

    @property
    def client_gone(self) -> bool:
        return self.watch is not None and self.watch.gone


class ClientWatch:
    """Cancels the task that serves a request when its caller goes away."""

    __slots__ = ("_main", "_receive", "_task", "_timer", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive = receive
        self._main = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._main is not None:
            self._main.cancel()

    def close(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


__all__ = ["Call", "ClientGone", "ClientWatch"]
