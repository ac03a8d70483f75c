"""What a pool answers, brought to the caller as it comes, with a true ending when the pool is lost in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from routing_app.dispatcher.errors import Kind, Problem, failed_run, failed_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from routing_app.dispatcher.asgi_types import Headers
    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.forward import Order
    from routing_app.dispatcher.pool import Replica
    from routing_app.dispatcher.upstream import Connection

Mode = Literal["wait", "stream", "create", "plain"]

#: A `wait` body up to this size is sent only once it is whole, so that a lost pool can still be told.
HELD_BODY = 4 * 1024 * 1024

_NOT_RETURNED = {
    b"connection", b"keep-alive", b"transfer-encoding", b"trailer", b"upgrade", b"content-length", b"date",
    b"server", b"x-agentic-pool", b"x-agentic-routing-version", b"x-request-id", b"x-langsmith-run-id",
}  # fmt: skip


class BrokenAnswer(Exception):
    """Part of an answer is out and the rest will not come; the connection must be cut."""


class Relay:
    """Sends a pool's answer to the caller, and finds a true ending when the pool is lost in the middle."""

    __slots__ = ("_call", "_held", "_mode", "_order", "_replica", "_streaming", "heard")

    def __init__(self, call: Call, order: Order, replica: Replica) -> None:
        self._call, self._order, self._replica = call, order, replica
        self._mode: Mode = order.mode
        self._held = bytearray()
        self._streaming = False
        #: Whether the pool sent its headers.
        self.heard = False

    def answer(self, response: Connection) -> Awaitable[None]:
        record = self._call.record
        record.ttfb_ms = self._call.elapsed_ms()
        headers, kind = self._headers(response.headers)
        if kind.startswith(b"text/event-stream"):
            return self._stream(response, headers)
        if self._mode == "wait" and response.status == 200:
            return self._wait(response, headers)
        return self._whole(response, headers)

    async def _stream(self, response: Connection, headers: Headers) -> None:
        """SSE, chunk by chunk; an `error` event marks the run as failed."""
        self._mode = "stream"
        call = self._call
        await call.start(response.status, headers)
        tail = b""
        while chunk := await response.read():
            if b"event: error" in tail + chunk:
                call.record.graph_failed = True
            tail = chunk[-16:]
            await call.chunk(chunk)
        await call.finish()

    async def _wait(self, response: Connection, headers: Headers) -> None:
        """Keep-alive newlines go out as they come, the JSON once it is whole (or too large to hold)."""
        call, held = self._call, self._held
        while not response.ended:
            chunk = response.take() or await response.read()
            if not held and chunk.isspace():
                await self._heartbeat(response.status, headers, chunk)
            elif self._streaming:
                await call.chunk(chunk)
            else:
                held += chunk
                if len(held) > HELD_BODY:
                    await self._stop_holding(response.status, headers)
        if held[:13].lstrip().startswith(b'{"__error__"'):
            call.record.graph_failed = True
        if call.started:
            await call.finish(bytes(held))
        else:
            await self._send_whole(response.status, headers, bytes(held))

    async def _heartbeat(self, status: int, headers: Headers, chunk: bytes) -> None:
        if not self._call.started:
            await self._call.start(status, headers)
        await self._call.chunk(chunk)

    async def _stop_holding(self, status: int, headers: Headers) -> None:
        await self._heartbeat(status, headers, bytes(self._held))
        self._held.clear()
        self._streaming = True

    async def _whole(self, response: Connection, headers: Headers) -> None:
        """Any other answer, error statuses of the pool included, unchanged."""
        while chunk := await response.read():
            if self._streaming:
                await self._call.chunk(chunk)
            else:
                self._held += chunk
                if len(self._held) > HELD_BODY:
                    await self._stop_holding(response.status, headers)
        if self._streaming:
            await self._call.finish()
        else:
            await self._send_whole(response.status, headers, bytes(self._held))

    async def _send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        if status >= 400 and self._order.on_refused is not None:
            await self._order.on_refused()
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        await self._call.whole(status, headers, body)

    async def lost(self, kind: Kind, message: str) -> None:
        """End an answer that the pool will not end. Raises Problem where a plain status is still possible."""
        call, record = self._call, self._call.record
        record.error_kind, record.error = kind, message[:300]
        if self._mode == "stream":
            await self._end_stream(kind, message)
        elif self._mode == "wait" and not self._streaming:
            await self._end_wait(failed_run(kind, message))
        elif call.started:
            raise BrokenAnswer(message)  # bytes of a whole are out: only a cut connection is honest
        elif self._order.safe:
            status = 504 if kind == "timeout" else 503
            raise Problem(status, message, kind=kind, code="POOL_LOST", retry_after=1)
        else:
            detail = f"{message}; it may have taken the request, so look before repeating it"
            raise Problem(409, detail, kind=kind, code="OUTCOME_UNKNOWN")

    async def _end_wait(self, body: bytes) -> None:
        if self._call.started:
            await self._call.finish(body)
        else:
            await self._send_whole(200, [(b"content-type", b"application/json"), *self._own_headers()], body)

    async def _end_stream(self, kind: Kind, message: str) -> None:
        if not self._call.started:
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),
            ]
            await self._call.start(200, headers + self._own_headers())
        await self._call.finish(failed_stream(kind, message))

    def _headers(self, given: Headers) -> tuple[Headers, bytes]:
        """The pool's headers without hop-by-hop, addresses made relative, and ours; and the content type."""
        record = self._call.record
        base = self._replica.base
        headers: Headers = []
        kind = b""
        for name, value in given:
            if name in _NOT_RETURNED:
                if name == b"x-agentic-pool":
                    record.executed_pool = value.decode("latin-1")
                continue
            if name == b"content-type":
                kind = value
            elif name == b"location":
                value = value.removeprefix(base)
            elif name == b"content-location":
                value = value.removeprefix(base)
                self._note_run(value.decode("latin-1"))
            elif name == b"x-agentic-graph-digest":
                record.executed_graph_digest = value.decode("latin-1")
            headers.append((name, value))
        return headers + self._own_headers(), kind

    def _own_headers(self) -> Headers:
        record = self._call.record
        own = [
            (b"x-request-id", record.request_id.encode("latin-1")),
            (b"x-agentic-pool", record.pool.encode()),
            (b"x-agentic-routing-version", self._order.table.version_header),
        ]
        if record.run_id:
            own.append((b"x-langsmith-run-id", record.run_id.encode()))
        return own

    def _note_run(self, location: str) -> None:
        """`/threads/{t}/runs/{r}` or `/runs/{r}`."""
        record = self._call.record
        thread, _, run = location.rpartition("/runs/")
        record.run_id = run.partition("/")[0]
        ids = [record.run_id] if record.run_id else []
        if thread.startswith("/threads/"):
            record.thread_id = thread.removeprefix("/threads/")
            ids.append(record.thread_id)
        self._order.on_run(record.pool, self._replica.url, *ids)
