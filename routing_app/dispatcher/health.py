"""`/ok`, `/health` and `/info`: whether this dispatcher can route, and what it knows of the rest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec

from routing_app.dispatcher.upstream import Cut, NotReached, Silent

if TYPE_CHECKING:
    from routing_app.dispatcher.asgi import Dispatcher
    from routing_app.dispatcher.pool import Pool, PoolSet, Replica

VERSION = "0.1.0"
_FLAGS = {"assistants": True, "crons": False, "langsmith": False}


class Readiness:
    """At the first start only: ready once every pool answered, or the settling time is over."""

    POLL_S = 0.2

    def __init__(self, settle_s: float) -> None:
        self.ready = False
        self._settle_s = settle_s
        self._task: asyncio.Task[None] | None = None

    def start(self, pools: PoolSet) -> None:
        self._task = asyncio.get_running_loop().create_task(self._settle(pools))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _settle(self, pools: PoolSet) -> None:
        deadline = time.monotonic() + self._settle_s
        answered: set[str] = set()
        while time.monotonic() < deadline:
            waiting = [pool for pool in pools.pools.values() if pool.slug not in answered]
            if pools.pools and not waiting:
                break
            for pool, ok in zip(waiting, await asyncio.gather(*map(_answers, waiting)), strict=True):
                if ok:
                    answered.add(pool.slug)
            await asyncio.sleep(self.POLL_S)
        self.ready = True


async def _answers(pool: Pool) -> bool:
    """Whether any replica answers its public health path, with whatever status."""
    for replica in pool.replicas:
        with contextlib.suppress(NotReached, Silent, Cut, TimeoutError):
            async with asyncio.timeout(1):
                await _heard(replica)
            return True
    return False


async def _heard(replica: Replica) -> None:
    endpoint = replica.endpoint
    connection = await endpoint.connection(1)
    try:
        head = f"GET {endpoint.prefix}/ok HTTP/1.1\r\nhost: {endpoint.host_header}\r\n\r\n"
        await connection.begin(head.encode(), b"", idle_s=1)
        while await connection.read():
            pass
    finally:
        connection.release()


def answer(dispatcher: Dispatcher, path: str) -> tuple[int, bytes]:
    """Status and JSON body. 503 only without a document, while settling, or while stopping."""
    if path == "/info":
        return 200, msgspec.json.encode(
            {"version": VERSION, "flags": _FLAGS, "host": {"kind": "agentic-sales"}}
        )
    table, live = dispatcher.table, dispatcher.live
    ok = table is not None and dispatcher.readiness.ready and not dispatcher.draining
    facts: dict[str, Any] = {
        "ok": ok,
        "services": {},
        "routing_version": table.version if table else None,
        "database": "up" if live.database_up else "away",
        "pools": {slug: _pool_facts(pool) for slug, pool in dispatcher.pools.pools.items()},
        "records": {"waiting": dispatcher.recorder.waiting, "spooled": dispatcher.recorder.spooled},
    }
    if not ok:
        facts["detail"] = _why_not(dispatcher)
    return (200 if ok else 503), msgspec.json.encode(facts)


def _pool_facts(pool: Pool) -> dict[str, Any]:
    """What anyone may know: no addresses."""
    facts = pool.facts()
    breakers = [replica["breaker"] for replica in facts["replicas"]]
    return {"breakers": breakers, "active": facts["active"], "queued": facts["queued"]}


def _why_not(dispatcher: Dispatcher) -> str:
    if dispatcher.draining:
        return "stopping"
    return "no routing document yet" if dispatcher.table is None else "waiting for the pools to answer"
