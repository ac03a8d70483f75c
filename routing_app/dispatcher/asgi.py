"""The dispatcher: the one way in. Gate, auth, a look at the body, the route, the pool's answer as it comes.

Routes and pool limits come from the live routing document; nothing here needs the database to serve
stateless runs. What a request did is written as a dispatch record after it ended.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from contract.route_for import HEALTH_PATHS
from platform_site.lib import memory
from routing_app.dispatcher import export, health
from routing_app.dispatcher.assistants import Assistants
from routing_app.dispatcher.body import ClientGone
from routing_app.dispatcher.call import Call
from routing_app.dispatcher.directory import ThreadDirectory
from routing_app.dispatcher.errors import Problem
from routing_app.dispatcher.gate import admit, authenticate, header_map, normalised, require_scope
from routing_app.dispatcher.linkedin import Linkedin
from routing_app.dispatcher.metrics import Metrics
from routing_app.dispatcher.pool import PoolSet
from routing_app.dispatcher.records import Recorder
from routing_app.dispatcher.relay import BrokenAnswer
from routing_app.dispatcher.rounds import Rounds
from routing_app.dispatcher.runs import Runs
from routing_app.dispatcher.switchboard import Switchboard
from routing_app.dispatcher.table import RoutingTable
from routing_app.dispatcher.threads import Threads
from routing_app.live import LiveState

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from contract.routing_document import RoutingDocument
    from routing_app.dispatcher.asgi_types import Headers, Receive, Scope, Send
    from routing_app.dispatcher.config import DispatcherConfig

log = logging.getLogger(__name__)


class Handler(Protocol):
    def handle(self, call: Call, rest: list[str]) -> Awaitable[None]: ...


class Dispatcher:
    """A plain ASGI application. `start()` before the first request, `stop()` after the last; alone, its lifespan does."""

    def __init__(self, config: DispatcherConfig) -> None:
        self.config = config
        self.live = LiveState(config.database_url, config.data_dir, "dispatcher")
        self.recorder = Recorder(config.database_url, config.data_dir / "spool")
        self.metrics = Metrics()
        self.under_way = Rounds()
        self.pools = PoolSet()
        self.table: RoutingTable | None = None
        self.draining = False
        self.readiness = health.Readiness(config.settle_s)
        self.directory = ThreadDirectory(config.database_url)
        self.export = export.Export(self.live, config.database_url)
        board = Switchboard(self)
        self._handlers: dict[str, Handler] = {
            "runs": Runs(board),
            "threads": Threads(board),
            "assistants": Assistants(board),
            "linkedin": Linkedin(board),
        }
        self._idle = asyncio.Event()

    async def start(self) -> None:
        await self.recorder.start()
        self.live.on_document(self._take_document)
        self.live.on_holds(self.pools.hold)
        await self.live.start()
        await self.directory.start()
        self.readiness.start(self.pools)

    async def stop(self) -> None:
        """Refuse new work, let what is in flight end for `drain_s`, then write the records out."""
        self.draining = True
        if self.under_way:
            self._idle.clear()
            try:
                async with asyncio.timeout(self.config.drain_s):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("dispatcher: %d requests cut at stop", len(self.under_way))
        await self.readiness.stop()
        await self.live.stop()
        await self.export.stop()
        await self.directory.stop()
        await self.recorder.stop()
        self.pools.close()

    def _take_document(self, document: RoutingDocument) -> None:
        try:
            table = RoutingTable(document, self.config.environ)
        except Exception:
            log.exception(
                "dispatcher: routing document %s not usable; the last one stays", document.get("version")
            )
            return
        self.table = table
        self.pools.apply(table.specs)
        log.info("dispatcher: routing version %d is live", table.version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            path = normalised(scope.get("raw_path") or scope["path"].encode())
            headers = header_map(scope["headers"])
        except Problem as problem:
            self.metrics.refused(problem.code)
            await _refuse(send, problem)
            return
        call = Call(scope, receive, send, path, headers)
        self.under_way.enter(call)
        try:
            await self._answer(call)
        except Problem as problem:
            await self._explain(call, problem)
        except ClientGone:
            _mark_gone(call)
        except asyncio.CancelledError:
            if not call.client_gone:
                raise
            _mark_gone(call)
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        except BrokenAnswer as broken:
            log.warning("dispatcher: answer to %s cut: %s", call.record.id, broken)
        finally:
            call.unwatch()
            self.under_way.leave(call)
            self._record(call)
            if self.draining and not self.under_way:
                self._idle.set()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        memory.settle()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _answer(self, call: Call) -> Awaitable[None]:
        path = call.path
        if path in HEALTH_PATHS:
            status, body = health.answer(self, path)
            return call.answer(status, body)
        if path == "/metrics":
            return self._metrics(call)
        if path == export.PATH:
            return self.export.handle(call)
        keys, now = self.live.keyring, call.record.received_at
        call.adopt_key(admit(call.method, path, call.headers, keys, now))
        call.adopt_trace()
        if self.draining:
            raise Problem(503, "this dispatcher is stopping", kind="backend", code="STOPPING", retry_after=1)
        _, head, *rest = path.rstrip("/").split("/")
        return self._handlers[head].handle(call, rest)

    async def _metrics(self, call: Call) -> None:
        require_scope(authenticate(call.headers, self.live.keyring), "read")
        version = self.table.version if self.table else 0
        body = self.metrics.render(
            self.live, version, self.pools.pools.values(), self.recorder, len(self.under_way)
        )
        headers: Headers = [
            (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        ]
        await call.start(200, headers)
        await call.finish(body)

    async def _explain(self, call: Call, problem: Problem) -> None:
        record = call.record
        record.error_kind, record.error = problem.kind, problem.detail[:300].replace("\0", "")
        if problem.code and not call.record_wanted:
            self.metrics.refused(problem.code)
        if call.started:
            log.error("dispatcher: a problem after the answer began: %s", problem.detail)
            return
        extra = problem.headers()
        if record.pool:
            extra.append((b"x-agentic-pool", record.pool.encode()))
        if self.table is not None:
            extra.append((b"x-agentic-routing-version", self.table.version_header))
        await call.answer(problem.status, problem.body(), extra)

    def _record(self, call: Call) -> None:
        if not call.record_wanted:
            return
        record = call.record
        record.total_ms = call.elapsed_ms()
        record.ended_at = datetime.now(UTC)
        self.metrics.observe(record)
        self.recorder.add(record)


def _mark_gone(call: Call) -> None:
    call.record.status = call.record.status or 499
    call.record.error_kind, call.record.error = "client", "the caller went away"


async def _refuse(send: Send, problem: Problem) -> None:
    body = problem.body()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
