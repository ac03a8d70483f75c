"""The directory of threads in PostgreSQL: which exist, what they are labelled with, which pool holds them.

A thread is bound to a pool by its first run, once and for all: its state lives there. Status and values are
the pool's to know; the directory only remembers which rows a run may have changed (`stale`).
"""

# ruff: noqa: S608 - statements are put together from constants of this file; values travel as parameters
from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import msgspec
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from routing_app.dispatcher.errors import database_away
from routing_app.patience import hang_up_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

log = logging.getLogger(__name__)

STATUSES = ("idle", "busy", "interrupted", "error")
SORTABLE = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")
_CACHE = 50_000
ANSWER_S, _ALIVE_S = 5.0, 1.0
_COLUMNS: LiteralString = "thread_id::text, metadata, status, pool, created_at, updated_at, state_updated_at"


@dataclass(frozen=True, slots=True)
class ThreadRow:
    thread_id: str
    metadata: dict[str, Any]
    status: str
    #: "" until the first run.
    pool: str
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime

    def as_thread(self) -> dict[str, Any]:
        """The LangGraph Thread of a row no pool knows more about."""
        return {
            "thread_id": self.thread_id,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "state_updated_at": self.state_updated_at,
            "metadata": self.metadata,
            "status": self.status,
            "config": {},
            "values": None,
            "interrupts": {},
            "error": None,
        }


class ThreadDirectory:
    """Every method raises Problem 503 while the database is away."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] | None = None
        self._bound: OrderedDict[str, str] = OrderedDict()
        self._touched: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if not self._url:
            return
        self._pool = AsyncConnectionPool(
            self._url,
            min_size=0,
            max_size=4,
            open=False,
            timeout=2,
            reconnect_timeout=2,
            check=_alive,
            kwargs={"autocommit": True, "connect_timeout": 2, "application_name": "dispatcher-threads"},
        )
        await self._pool.open()
        self._task = asyncio.get_running_loop().create_task(self._write_touched())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._pool is not None:
            with contextlib.suppress(Exception):
                await self.flush()
            await self._pool.close()

    async def create(
        self, thread_id: str, metadata: dict[str, Any], *, pool: str = ""
    ) -> tuple[ThreadRow, bool]:
        """The row and whether it is new."""
        made = await self._one(
            "INSERT INTO routing_app_threadbinding "
            "(thread_id, metadata, status, pool, stale, created_at, updated_at, state_updated_at) "
            "VALUES (%s, %s, 'idle', %s, false, now(), now(), now()) "
            "ON CONFLICT (thread_id) DO NOTHING RETURNING " + _COLUMNS,
            (thread_id, _json(metadata), pool),
        )
        if made is not None:
            if pool:
                self._remember(thread_id, pool)
            return made, True
        existing = await self.get(thread_id)
        return (
            (existing, False) if existing is not None else await self.create(thread_id, metadata, pool=pool)
        )

    async def get(self, thread_id: str) -> ThreadRow | None:
        row = await self._one(
            f"SELECT {_COLUMNS} FROM routing_app_threadbinding WHERE thread_id = %s", (thread_id,)
        )
        if row is not None and row.pool:
            self._remember(thread_id, row.pool)
        return row

    def known_pool(self, thread_id: str) -> str:
        """The pool of a bound thread if this process knows it; "" says nothing. A run makes a binding final."""
        return self._bound.get(thread_id, "")

    async def patch(self, thread_id: str, metadata: dict[str, Any]) -> ThreadRow | None:
        return await self._one(
            "UPDATE routing_app_threadbinding SET metadata = metadata || %s, updated_at = now() "
            "WHERE thread_id = %s RETURNING " + _COLUMNS,
            (_json(metadata), thread_id),
        )

    async def bind(self, thread_id: str, pool: str, labels: dict[str, Any]) -> ThreadRow | None:
        """Bind an unbound thread; of two first runs at once the first wins and both see its pool."""
        row = await self._one(
            "UPDATE routing_app_threadbinding SET pool = CASE WHEN pool = '' THEN %s ELSE pool END, "
            "metadata = metadata || %s, updated_at = now() WHERE thread_id = %s RETURNING " + _COLUMNS,
            (pool, _json(labels), thread_id),
        )
        if row is not None:
            self._remember(thread_id, row.pool)
        return row

    async def unbind(self, thread_id: str, pool: str) -> None:
        """Free a thread from the pool that took none of its runs."""
        self._bound.pop(thread_id, None)
        await self._one(
            "UPDATE routing_app_threadbinding SET pool = '', stale = false, status = 'idle', updated_at = now() "
            "WHERE thread_id = %s AND pool = %s RETURNING " + _COLUMNS,
            (thread_id, pool),
        )

    async def delete(self, thread_id: str) -> bool:
        self._bound.pop(thread_id, None)
        sql: LiteralString = (
            "DELETE FROM routing_app_threadbinding WHERE thread_id = %s RETURNING " + _COLUMNS
        )
        return await self._one(sql, (thread_id,)) is not None

    async def search(
        self,
        *,
        metadata: dict[str, Any],
        status: str | None,
        ids: list[str] | None,
        limit: int,
        offset: int,
        sort_by: str,
        descending: bool,
    ) -> list[ThreadRow]:
        where, arguments = _where(metadata, status, ids)
        order: LiteralString = _ORDERS[sort_by, descending]
        return await self._all(
            f"SELECT {_COLUMNS} FROM routing_app_threadbinding WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s",
            (*arguments, limit, offset),
        )

    async def count(self, *, metadata: dict[str, Any], status: str | None, ids: list[str] | None) -> int:
        where, arguments = _where(metadata, status, ids)
        async with self._connection() as connection:
            cursor = await connection.execute(
                f"SELECT count(*) FROM routing_app_threadbinding WHERE {where}", arguments
            )
            row = await cursor.fetchone()
        return int(row[0]) if row else 0

    def touch(self, thread_id: str) -> None:
        """A run may have changed this thread; noted in memory, written behind the request."""
        self._touched.add(thread_id)

    async def flush(self) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, set()
        try:
            async with self._connection() as connection:
                await connection.execute(
                    "UPDATE routing_app_threadbinding SET stale = true, status = 'busy', updated_at = now() "
                    "WHERE thread_id = ANY(%s::uuid[])",
                    (list(touched),),
                )
        except BaseException:
            self._touched |= touched
            raise

    async def stale(self, limit: int) -> list[ThreadRow]:
        return await self._all(
            f"SELECT {_COLUMNS} FROM routing_app_threadbinding WHERE stale ORDER BY updated_at DESC LIMIT %s",
            (limit,),
        )

    async def refreshed(self, statuses: dict[str, str]) -> None:
        """What the pools said of stale threads; a busy one stays stale."""
        async with self._connection() as connection:
            await connection.execute(
                "UPDATE routing_app_threadbinding AS t SET status = s.status, stale = (s.status = 'busy'), "
                "state_updated_at = now() FROM unnest(%s::uuid[], %s::text[]) AS s(thread_id, status) "
                "WHERE t.thread_id = s.thread_id",
                (list(statuses), list(statuses.values())),
            )

    async def _write_touched(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            with contextlib.suppress(Exception):  # the set is kept; the next round tries again
                await self.flush()

    async def _one(self, sql: LiteralString, arguments: tuple[Any, ...]) -> ThreadRow | None:
        rows = await self._all(sql, arguments)
        return rows[0] if rows else None

    async def _all(self, sql: LiteralString, arguments: tuple[Any, ...]) -> list[ThreadRow]:
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(ThreadRow)) as cursor,
        ):
            await cursor.execute(sql, arguments)
            return await cursor.fetchall()

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        if self._pool is None:
            raise database_away()
        try:
            async with self._pool.connection() as connection:
                with hang_up_after(connection, ANSWER_S):
                    yield connection
        except (psycopg.OperationalError, PoolTimeout):
            raise database_away() from None

    def _remember(self, thread_id: str, pool: str) -> None:
        self._bound[thread_id] = pool
        if len(self._bound) > _CACHE:
            self._bound.popitem(last=False)


async def _alive(connection: psycopg.AsyncConnection[Any]) -> None:
    with hang_up_after(connection, _ALIVE_S):
        await AsyncConnectionPool.check_connection(connection)


_ORDERS: dict[tuple[str, bool], LiteralString] = {
    ("thread_id", False): "thread_id",
    ("thread_id", True): "thread_id DESC",
    ("status", False): "status, thread_id",
    ("status", True): "status DESC, thread_id DESC",
    ("created_at", False): "created_at, thread_id",
    ("created_at", True): "created_at DESC, thread_id DESC",
    ("updated_at", False): "updated_at, thread_id",
    ("updated_at", True): "updated_at DESC, thread_id DESC",
    ("state_updated_at", False): "state_updated_at, thread_id",
    ("state_updated_at", True): "state_updated_at DESC, thread_id DESC",
}


def _where(
    metadata: dict[str, Any], status: str | None, ids: list[str] | None
) -> tuple[LiteralString, tuple[Any, ...]]:
    return (
        "metadata @> %s AND (%s::text IS NULL OR status = %s) "
        "AND (%s::uuid[] IS NULL OR thread_id = ANY(%s::uuid[]))",
        (_json(metadata), status, status, ids, ids),
    )


def _json(value: dict[str, Any]) -> Jsonb:
    return Jsonb(value, dumps=lambda given: msgspec.json.encode(given).decode())
