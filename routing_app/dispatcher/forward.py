"""Carry one request to a pool and its answer back, as it comes.

The line that matters is *acceptance*: once the request was written to a connection, the pool may have begun
the work, and callers that retry a 5xx would run the graph again. Before it: 503 or 429 with Retry-After.
After it: 200 with `__error__` (wait), an SSE `error` event (stream), 409 (a create whose outcome is unknown).
"""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from routing_app.dispatcher.errors import Kind, Problem, failed_run, failed_stream
from routing_app.dispatcher.pool import Bulkhead, Pool, Replica, Saturated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from routing_app.dispatcher.asgi_types import Headers
    from routing_app.dispatcher.call import Call

Mode = Literal["wait", "stream", "create", "plain"]

#: The longest wait for a free slot; past it a 429 tells the caller to come back.
LONGEST_QUEUE_S = 30.0
#: Longest for a small call of the dispatcher's own.
ASK_S = 10.0
#: A `wait` body up to this size is sent only once it is whole, so that a lost pool can still be told.
HELD_BODY = 4 * 1024 * 1024
_LARGE = 512 * 1024

_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
    b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
_CREDENTIALS = {b"authorization", b"x-api-key", b"cookie", b"x-tenant-id", b"x-service-key"}
_REMADE = {
    b"host", b"content-length", b"expect", b"accept-encoding", b"x-request-id",
    b"traceparent", b"tracestate", b"langsmith-trace", b"baggage",
}  # fmt: skip
_NOT_SENT = _HOP_BY_HOP | _CREDENTIALS | _REMADE
_NOT_RETURNED = {
    "connection", "keep-alive", "transfer-encoding", "trailer", "upgrade", "content-length",
    "date", "server", "x-agentic-pool", "x-agentic-routing-version", "x-request-id", "x-langsmith-run-id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done at a pool."""

    pool: Pool
    target: str
    """Normalised, encoded path and query."""
    body: bytes
    mode: Mode
    version: int
    digest: str
    timeout_s: float | None = None
    safe: bool = False
    """Repeating it changes nothing, so a lost answer may be asked for again (503)."""
    replica: Replica | None = None
    """The replica that must be asked: it holds the run."""
    on_run: Callable[[str, str, str, str], None] | None = None
    """Told run id, thread id, pool and replica URL once the pool named the run it began."""

    @property
    def lane(self) -> Bulkhead:
        return self.pool.control if self.mode == "plain" else self.pool.runs

    @property
    def deadline_s(self) -> float:
        return self.timeout_s or self.pool.spec.total_timeout_s


class NotReached(Exception):
    """No connection: the request provably never reached the pool."""


class Lost(Exception):
    """The pool had the request and gave no (whole) answer."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


async def forward(call: Call, order: Order) -> None:
    """Answer `call` with what the pool says; raises Problem for everything before acceptance."""
    record, pool = call.record, order.pool
    record.pool = pool.slug
    record.routing_version, record.routing_digest = order.version, order.digest
    queued_at = time.perf_counter()
    try:
        await order.lane.acquire(min(LONGEST_QUEUE_S, order.deadline_s))
    except Saturated:
        raise _full(pool) from None
    record.queued_ms = (time.perf_counter() - queued_at) * 1000
    try:
        await _first_then_other(call, order)
    finally:
        order.lane.release()


async def _first_then_other(call: Call, order: Order) -> None:
    """One replica, and one more only when the first provably never got the request."""
    replica = _admitted(order)
    try:
        await _exchange(call, order, replica)
    except NotReached as error:
        other = None if order.replica else order.pool.choose(avoid=replica)
        if other is None:
            raise _unreachable(order.pool, str(error)) from None
        try:
            await _exchange(call, order, other)
        except NotReached as second:
            raise _unreachable(order.pool, str(second)) from None


def _admitted(order: Order) -> Replica:
    pool = order.pool
    if not pool.replicas:
        raise Problem(
            503, f"pool {pool.slug} has no address", kind="backend", code="NO_ADDRESS", retry_after=5
        )
    replica = order.replica
    if replica is None or replica not in pool.replicas:
        replica = pool.choose()
    if replica is None or not replica.breaker.admits():
        reason = next(
            (known.breaker.reason for known in pool.replicas if known.breaker.reason), "unreachable"
        )
        raise Problem(
            503,
            f"pool {pool.slug} is set aside for a moment: {reason}",
            kind="backend",
            code="BREAKER_OPEN",
            retry_after=pool.retry_after(),
        )
    return replica


def _full(pool: Pool) -> Problem:
    return Problem(429, f"pool {pool.slug} is full", kind="backend", code="POOL_FULL", retry_after=1)


def _unreachable(pool: Pool, reason: str) -> Problem:
    detail = f"pool {pool.slug} cannot be reached: {reason}"
    return Problem(503, detail, kind="backend", code="POOL_UNREACHABLE", retry_after=pool.retry_after())


async def _exchange(call: Call, order: Order, replica: Replica) -> None:
    call.record.replica = replica.url
    relay = Relay(call, order, replica)
    with replica.call():
        try:
            async with asyncio.timeout(order.deadline_s):
                await _ask(call, order, replica, relay)
        except NotReached as error:
            replica.breaker.failed(str(error))
            raise
        except Lost as lost:
            replica.breaker.failed(str(lost))
            await relay.lost(lost.kind, str(lost))
        except TimeoutError:
            # A run that is merely slow says nothing against a replica that keeps sending.
            if relay.heard:
                replica.breaker.succeeded()
            else:
                replica.breaker.failed("no answer within the deadline")
            await relay.lost(
                "timeout", f"pool {order.pool.slug} did not finish within {order.deadline_s:g} s"
            )
        except asyncio.CancelledError:
            replica.breaker.abandoned()
            raise
        else:
            replica.breaker.succeeded()


async def _ask(call: Call, order: Order, replica: Replica, relay: Relay) -> None:
    response = await _open(call, order, replica)
    relay.heard = True
    try:
        await relay.answer(response)
    finally:
        response.release()


async def _open(call: Call, order: Order, replica: Replica) -> aiohttp.ClientResponse:
    """The pool's status and headers; raises NotReached or Lost."""
    pool = order.pool
    body: bytes | io.BytesIO = order.body if len(order.body) < _LARGE else io.BytesIO(order.body)
    try:
        return await pool.session().request(
            call.method,
            replica.address(order.target),
            data=body or None,
            headers=outbound_headers(call, order),
            timeout=pool.timeout,
            allow_redirects=False,
        )
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
        raise NotReached(_why(error)) from None
    except aiohttp.SocketTimeoutError:
        raise Lost("timeout", f"pool {pool.slug} was silent for {pool.spec.idle_timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Lost("backend", f"pool {pool.slug} was lost: {_why(error)}") from None


def _why(error: BaseException) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    inner = getattr(error, "os_error", None) or error
    return (getattr(inner, "strerror", None) or str(inner) or type(error).__name__)[:200]


def outbound_headers(call: Call, order: Order) -> CIMultiDict[str]:
    """Everything of the caller but credentials and hop-by-hop, then what the dispatcher vouches for."""
    drop = _NOT_SENT
    connection = call.headers.get(b"connection")
    if connection is not None and connection.lower() not in (b"keep-alive", b"close"):
        drop = drop | {name.strip().lower() for name in connection.split(b",")}
    out: CIMultiDict[str] = CIMultiDict(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in call.scope["headers"]
        if name not in drop and not name.startswith(b"x-agentic-")
    )
    record = call.record
    out.extend(order.pool.auth_headers)
    out.extend(call.trace_headers)
    out["accept-encoding"] = "identity"
    out["x-request-id"] = record.request_id
    out["x-agentic-pool"] = order.pool.slug
    out["x-agentic-routing-version"] = str(order.version)
    out["x-agentic-routing-digest"] = order.digest
    out["x-agentic-dispatch-id"] = record.id
    return out


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pool said to a call of the dispatcher's own."""

    status: int
    body: bytes
    replica: str

    def json(self) -> Any:
        """None for what is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


async def ask(pool: Pool, method: str, target: str, body: bytes, *, replica: Replica | None = None) -> Answer:
    """A small call in the pool's control lane; raises Problem when the pool cannot be heard."""
    chosen = replica or pool.choose()
    if chosen is None:
        raise _unreachable(pool, "its breaker is open")
    headers = {**dict(pool.auth_headers), "content-type": "application/json", "accept-encoding": "identity"}
    try:
        await pool.control.acquire(ASK_S)
    except Saturated:
        raise _full(pool) from None
    try:
        with chosen.call():
            async with pool.session().request(
                method, chosen.address(target), data=body or None, headers=headers,
                timeout=aiohttp.ClientTimeout(total=ASK_S), allow_redirects=False,
            ) as response:  # fmt: skip
                answer = Answer(response.status, await response.read(), chosen.url)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        chosen.breaker.failed(_why(error))
        raise _unreachable(pool, _why(error)) from None
    finally:
        pool.control.release()
    chosen.breaker.succeeded()
    return answer


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

    async def answer(self, response: aiohttp.ClientResponse) -> None:
        record = self._call.record
        record.ttfb_ms = self._call.elapsed_ms()
        headers = self._headers(response.headers)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            await self._stream(response, headers)
        elif self._mode == "wait" and response.status == 200:
            await self._wait(response, headers)
        else:
            await self._whole(response, headers)

    async def _stream(self, response: aiohttp.ClientResponse, headers: Headers) -> None:
        """SSE, chunk by chunk; an `error` event marks the run as failed."""
        self._mode = "stream"
        call = self._call
        await call.start(response.status, headers)
        tail = b""
        async for chunk in self._chunks(response):
            if b"event: error" in tail + chunk:
                call.record.graph_failed = True
            tail = chunk[-16:]
            await call.chunk(chunk)
        await call.finish()

    async def _wait(self, response: aiohttp.ClientResponse, headers: Headers) -> None:
        """Keep-alive newlines go out as they come, the JSON once it is whole (or too large to hold)."""
        call, held = self._call, self._held
        async for chunk in self._chunks(response):
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

    async def _whole(self, response: aiohttp.ClientResponse, headers: Headers) -> None:
        """Any other answer, error statuses of the pool included, unchanged."""
        async for chunk in self._chunks(response):
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
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        await self._call.start(status, headers)
        await self._call.finish(body)

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body as it arrives; raises Lost."""
        content, pool = response.content, self._order.pool
        try:
            while chunk := await content.readany():
                yield chunk
        except aiohttp.SocketTimeoutError:
            raise Lost("timeout", f"pool {pool.slug} was silent for {pool.spec.idle_timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost("backend", f"pool {pool.slug} was lost: {_why(error)}") from None

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

    def _headers(self, given: CIMultiDictProxy[str]) -> Headers:
        """The pool's headers without hop-by-hop, addresses made relative, and ours."""
        headers: Headers = []
        for name, value in given.items():
            lower = name.lower()
            if lower in _NOT_RETURNED:
                continue
            if lower == "content-location" or lower == "location":
                value = self._relative(value)
                if lower == "content-location":
                    self._note_run(value)
            headers.append((lower.encode("latin-1"), value.encode("latin-1")))
        record = self._call.record
        record.executed_pool = given.get("x-agentic-pool", "")
        record.executed_graph_digest = given.get("x-agentic-graph-digest", "")
        return headers + self._own_headers()

    def _own_headers(self) -> Headers:
        record = self._call.record
        own = [
            (b"x-request-id", record.request_id.encode("latin-1")),
            (b"x-agentic-pool", record.pool.encode()),
            (b"x-agentic-routing-version", b"%d" % record.routing_version),
        ]
        if record.run_id:
            own.append((b"x-langsmith-run-id", record.run_id.encode()))
        return own

    def _relative(self, location: str) -> str:
        base = self._replica.url.rstrip("/")
        return location.removeprefix(base) if location.startswith(base) else location

    def _note_run(self, location: str) -> None:
        """`/threads/{t}/runs/{r}` or `/runs/{r}`."""
        record = self._call.record
        before, _, run = location.rpartition("/runs/")
        record.run_id = run.partition("/")[0]
        thread_id = before.removeprefix("/threads/") if before.startswith("/threads/") else ""
        record.thread_id = thread_id or record.thread_id
        if self._order.on_run is not None and record.run_id:
            self._order.on_run(record.run_id, thread_id, self._order.pool.slug, self._replica.url)


class BrokenAnswer(Exception):
    """Part of an answer is out and the rest will not come; the connection must be cut."""
