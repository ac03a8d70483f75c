"""One request on its way through the dispatcher: what came in, what is known of it, what was sent back."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contract.headers import BAGGAGE, BAGGAGE_ADDRESS, inject, parse_inbound
from routing_app.dispatcher.ids import new_traceparent, new_uuid
from routing_app.dispatcher.records import Record
from routing_app.dispatcher.rounds import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_app.keyring import KeyFacts
    from routing_app.dispatcher.asgi_types import Headers, Receive, Scope, Send
    from routing_app.dispatcher.upstream import Connection

#: A request this short never pays for a watcher.
WATCH_AFTER_S = 0.05

_FAMILIES = (b"traceparent", b"tracestate", b"langsmith-trace", b"baggage")


class Call:
    """Mutable on purpose: filled step by step, turned into one dispatch record at the end."""

    __slots__ = (
        "_overdue",
        "_task",
        "_watch_from",
        "_watcher",
        "client_gone",
        "connection",
        "due",
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
        self.started_at = time.monotonic()
        #: Set once a first byte went to the caller.
        self.started = False
        #: Only requests that decide about or reach a pool leave a dispatch record.
        self.record_wanted = False
        #: Trace headers as they go to the pool.
        self.trace_headers: Headers = []
        #: When what is going on must be over; past it the task is cancelled, and `timed_out` says why.
        self.due = NEVER
        #: The connection to a pool that is waited for, if any.
        self.connection: Connection | None = None
        #: The caller closed its connection, so the task was cancelled.
        self.client_gone = False
        self._overdue = False
        self._task = asyncio.current_task()
        self._watch_from = NEVER
        self._watcher: asyncio.Task[None] | None = None
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
        return (time.monotonic() - self.started_at) * 1000

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
        await self.whole(status, fields + (headers or []), b"" if self.method == "HEAD" else body)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer that is there as a whole."""
        self.unwatch()
        self.started = True
        self.record.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    # -- what the rounds look at ----------------------------------------------------------------------------

    def watch_client(self) -> None:
        """From soon on: when the caller goes away, the task that serves it is cancelled."""
        if self._watcher is None:
            self._watch_from = time.monotonic() + WATCH_AFTER_S

    def unwatch(self) -> None:
        self._watch_from = NEVER
        if self._watcher is not None:
            self._watcher.cancel()

    def look_at(self, now: float) -> None:
        """Told the time again and again while the request is under way."""
        if self.due <= now:
            self.due = NEVER
            self._overdue = True
            self._cancel()
        elif self.connection is not None and self.connection.due <= now:
            self.connection.fall_silent()
        if self._watch_from <= now:
            self._watch_from = NEVER
            self._watcher = asyncio.get_running_loop().create_task(self._listen())

    def timed_out(self) -> bool:
        """Whether the cancellation just caught was for being overdue and nothing else; it is then called off."""
        if not self._overdue or self._task is None:
            return False
        self._overdue = False
        return not self._task.uncancel()

    async def _listen(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.client_gone = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
