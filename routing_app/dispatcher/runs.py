"""Runs without a thread: decide the pool from the body, send it there, remember where the run lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routing_app.dispatcher.body import RunBody, peek_run, read_body
from routing_app.dispatcher.errors import Problem, bad_request
from routing_app.dispatcher.forward import Mode, Order, forward
from routing_app.dispatcher.gate import encoded

if TYPE_CHECKING:
    from routing_app.dispatcher.asgi import Dispatcher
    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.pool import Pool
    from routing_app.dispatcher.table import RoutingTable, Target

_STARTS: dict[str, Mode] = {"/runs/wait": "wait", "/runs/stream": "stream", "/runs": "create"}


class Runs:
    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def handle(self, call: Call) -> None:
        mode = _STARTS.get(call.path)
        if mode is None or call.method != "POST":
            raise Problem(404, "no such path", kind="client", code="NOT_FOUND")
        await self._start(call, mode)

    async def _start(self, call: Call, mode: Mode) -> None:
        call.record_wanted = True
        config = self._dispatcher.config
        body = await read_body(
            call.receive, call.headers, limit=config.max_body, timeout_s=config.body_timeout_s
        )
        run = peek_run(body)
        call.record.assistant_id = str(run.assistant_id)[:200].replace("\0", "")
        table = self.table()
        target = table.find(str(run.assistant_id))
        call.record.assistant_id = target.assistant_id
        call.record.decided_graph_digest = target.graph_digest
        check_input(target, run)
        call.watch_client()
        await forward(call, self.order(call, table, self.pool(target.pool), body, mode, target.timeout_s))

    def table(self) -> RoutingTable:
        table = self._dispatcher.table
        if table is None:
            raise Problem(
                503, "no routing document is live yet", kind="backend", code="NO_ROUTING", retry_after=2
            )
        return table

    def pool(self, slug: str) -> Pool:
        pool = self._dispatcher.pools.pools.get(slug)
        if pool is None:
            raise Problem(503, f"pool {slug} is not in the live document", kind="backend", retry_after=5)
        return pool

    def order(
        self,
        call: Call,
        table: RoutingTable,
        pool: Pool,
        body: bytes,
        mode: Mode,
        timeout_s: float | None = None,
    ) -> Order:
        target = encoded(call.path)
        if call.query:
            target += "?" + call.query.decode("latin-1")
        return Order(
            pool=pool, target=target, body=body, mode=mode, version=table.version, digest=table.digest,
            timeout_s=timeout_s,
        )  # fmt: skip


def check_input(target: Target, run: RunBody) -> None:
    """Raises Problem 422 with JSON pointers when the input breaks the graph's shape."""
    if target.shape is None or run.command is not None:
        return
    errors = target.shape.errors(run.input)
    if errors:
        first = errors[0]
        raise bad_request(
            422,
            f"input of '{target.assistant_id}': {first['pointer']}: {first['message']}",
            pointer=first["pointer"],
            errors=errors,
        )
