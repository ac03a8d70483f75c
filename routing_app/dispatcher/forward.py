"""Carry one request to a pool and its answer back, as it comes.

The line that matters is *acceptance*: once the request was written to a connection, the pool may have begun
the work, and callers that retry a 5xx would run the graph again. Before it: 503 or 429 with Retry-After.
After it: 200 with `__error__` (wait), an SSE `error` event (stream), 409 (a create whose outcome is unknown).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from contract.headers import X_NOT_BEGUN
from routing_app.dispatcher.errors import Problem
from routing_app.dispatcher.pool import Bulkhead, Pool, Replica, Saturated
from routing_app.dispatcher.relay import Mode, Relay
from routing_app.dispatcher.rounds import NEVER
from routing_app.dispatcher.upstream import Cut, Leaving, NotReached, Silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.table import RoutingTable

#: The longest wait for a free slot; past it a 429 tells the caller to come back.
LONGEST_QUEUE_S = 30.0
#: Longest for a small call of the dispatcher's own.
ASK_S = 10.0

_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
    b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
_CREDENTIALS = {b"authorization", b"x-api-key", b"cookie", b"x-tenant-id", b"x-service-key"}
_REMADE = {
    b"host", b"content-length", b"expect", b"accept-encoding", b"x-request-id",
    b"traceparent", b"tracestate", b"langsmith-trace", b"baggage",
}  # fmt: skip
_NOT_BEGUN = X_NOT_BEGUN.encode()
_NOT_SENT = _HOP_BY_HOP | _CREDENTIALS | _REMADE


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done at a pool."""

    pool: Pool
    target: str
    """Normalised, encoded path and query."""
    body: bytes
    mode: Mode
    table: RoutingTable
    timeout_s: float | None = None
    safe: bool = False
    """Repeating it changes nothing, so a lost answer may be asked for again (503)."""
    replica: Replica | None = None
    """The replica that must be asked: it holds the run."""
    on_run: Callable[..., None]
    """Told pool, replica URL and the ids of run and thread once the pool named the run it began."""
    on_refused: Callable[[], Awaitable[None]] | None = None
    """Awaited before the caller hears that the pool itself refused."""

    @property
    def lane(self) -> Bulkhead:
        return self.pool.control if self.mode == "plain" else self.pool.runs

    @property
    def deadline_s(self) -> float:
        return self.timeout_s or self.pool.spec.total_timeout_s


async def forward(call: Call, order: Order) -> None:
    """Answer `call` with what the pool says; raises Problem for everything before acceptance.

    One replica is asked, and one more only when the first provably never got the request.
    """
    record, pool, lane = call.record, order.pool, order.lane
    record.pool = pool.slug
    record.routing_version, record.routing_digest = order.table.version, order.table.digest
    if not lane.take():
        await _queue(call, order)
    try:
        replica = _admitted(order)
        try:
            await _exchange(call, order, replica)
        except NotReached as error:
            other = None if order.replica else pool.choose(avoid=replica)
            if other is None:
                raise _unreachable(pool, str(error)) from None
            try:
                await _exchange(call, order, other)
            except NotReached as second:
                raise _unreachable(pool, str(second)) from None
    finally:
        lane.release()


async def _queue(call: Call, order: Order) -> None:
    queued_at = time.monotonic()
    try:
        await order.lane.acquire(min(LONGEST_QUEUE_S, order.deadline_s))
    except Saturated:
        raise _full(order.pool) from None
    call.record.queued_ms = (time.monotonic() - queued_at) * 1000


def _admitted(order: Order) -> Replica:
    pool = order.pool
    if not pool.replicas:
        raise Problem(
            503, f"pool {pool.slug} has no address", kind="backend", code="NO_ADDRESS", retry_after=5
        )
    replica = order.replica
    if replica is None or replica not in pool.replicas:
        replica = pool.choose()
    elif not replica.breaker.admits():
        replica = None
    if replica is None:
        held = any(known.breaker.held == "open" for known in pool.replicas)
        reason = next(
            (known.breaker.reason for known in pool.replicas if known.breaker.reason),
            "an operator holds its breaker open" if held else "unreachable",
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
    with replica:
        try:
            await _ask(call, order, replica, relay)
        except NotReached as error:
            replica.breaker.failed(str(error), refused=True, for_now=isinstance(error, Leaving))
            raise
        except Silent:
            message = f"pool {order.pool.slug} was silent for {order.pool.spec.idle_timeout_s:g} s"
            replica.breaker.failed(message)
            await relay.lost("timeout", message)
        except Cut as cut:
            message = f"pool {order.pool.slug} was lost: {cut}"
            replica.breaker.failed(message)
            await relay.lost("backend", message)
        except asyncio.CancelledError:
            if not call.timed_out():
                replica.breaker.abandoned()
                raise
            # A run that is merely slow says nothing against a replica that keeps sending.
            if relay.heard:
                replica.breaker.succeeded()
            else:
                replica.breaker.failed("no answer within the deadline")
            await relay.lost(
                "timeout", f"pool {order.pool.slug} did not finish within {order.deadline_s:g} s"
            )
        else:
            replica.breaker.succeeded()


async def _ask(call: Call, order: Order, replica: Replica, relay: Relay) -> None:
    spec, endpoint = order.pool.spec, replica.endpoint
    call.due = time.monotonic() + order.deadline_s
    connection = None
    try:
        connection = call.connection = endpoint.idle() or await endpoint.connect(spec.connect_timeout_s)
        await connection.begin(
            request_head(call, order, replica),
            order.body,
            idle_s=spec.idle_timeout_s,
            bodiless=call.method == "HEAD",
        )
        if connection.status == 503 and any(name == _NOT_BEGUN for name, _ in connection.headers):
            raise Leaving("the replica is stopping")
        relay.heard = True
        await relay.answer(connection)
    finally:
        call.due, call.connection = NEVER, None
        if connection is not None:
            connection.release()


def request_head(call: Call, order: Order, replica: Replica) -> bytes:
    """Everything of the caller but credentials and hop-by-hop, then what the dispatcher vouches for."""
    drop = _NOT_SENT
    connection = call.headers.get(b"connection")
    if connection is not None and connection.lower() not in (b"keep-alive", b"close"):
        drop = drop | {name.strip().lower() for name in connection.split(b",")}
    record = call.record
    start = _start(call.method, order.target, replica, order.body)
    lines = [
        f"{start}x-request-id: {record.request_id}\r\nx-agentic-dispatch-id: {record.id}".encode("latin-1")
    ]
    lines += [
        b": ".join(pair)
        for pair in call.scope["headers"]
        if pair[0] not in drop and pair[0][:10] != b"x-agentic-"
    ]
    lines += map(b": ".join, call.trace_headers)
    lines.append(order.table.vouched[order.pool.slug])
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def _start(method: str, target: str, replica: Replica, body: bytes) -> str:
    endpoint = replica.endpoint
    length = f"content-length: {len(body)}\r\n" if body or method not in ("GET", "HEAD") else ""
    return f"{method} {endpoint.prefix}{target} HTTP/1.1\r\nhost: {endpoint.host_header}\r\n{length}"


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
    start = _start(method, target, chosen, body).encode("latin-1")
    head = start + b"content-type: application/json\r\naccept-encoding: identity\r\n%b\r\n" % pool.spec.proof
    try:
        await pool.control.acquire(ASK_S)
    except Saturated:
        raise _full(pool) from None
    try:
        with chosen:
            async with asyncio.timeout(ASK_S):
                status, raw = await _whole(chosen, head, body, pool)
    except (NotReached, Silent, Cut, TimeoutError) as error:
        chosen.breaker.failed(str(error) or "no answer in time")
        raise _unreachable(pool, str(error) or "no answer in time") from None
    finally:
        pool.control.release()
    chosen.breaker.succeeded()
    return Answer(status, raw, chosen.url)


async def _whole(replica: Replica, head: bytes, body: bytes, pool: Pool) -> tuple[int, bytes]:
    connection = await replica.endpoint.connection(pool.spec.connect_timeout_s)
    try:
        await connection.begin(head, body, idle_s=ASK_S)
        parts = []
        while part := await connection.read():
            parts.append(part)
        return connection.status, b"".join(parts)
    finally:
        connection.release()
