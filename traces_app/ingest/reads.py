"""Reads for the doors: the store's reader on a small pool of connections, off the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool

from traces_app.store.records import uuid_bytes, uuid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psycopg import Connection

T = TypeVar("T")
_MAX_CONNECTIONS = 4
_TIMEOUT_S = 5.0


def _configure(conn: Connection[Any]) -> None:
    # The reader that ingest has for JSON: of a number beyond 64 bits it makes one that it can write again.
    set_json_loads(orjson.loads, conn)


class Reads:
    """A pool that opens with the first read."""

    def __init__(self, database_url: str) -> None:
        self._pool = ConnectionPool(
            database_url,
            min_size=0,
            max_size=_MAX_CONNECTIONS,
            timeout=_TIMEOUT_S,
            open=False,
            configure=_configure,
            kwargs={"autocommit": True, "application_name": "ingest-reads"},
        )
        self._open = False

    async def stop(self) -> None:
        """Close the connections."""
        if self._open:
            await asyncio.to_thread(self._pool.close)

    async def run(self, read: Callable[[Any], T]) -> T:
        """Return what `read` makes of a cursor."""
        return await asyncio.to_thread(self._run, read)

    def _run(self, read: Callable[[Any], T]) -> T:
        if not self._open:
            self._pool.open()
            self._open = True
        with self._pool.connection() as conn, conn.cursor() as cur:
            return read(cur)

    async def traces_of_runs(self, run_ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the trace of each run that is stored."""
        wanted = [uuid_text(r) for r in set(run_ids)]
        if not wanted:
            return {}

        def read(cur: Any) -> dict[bytes, bytes]:
            cur.execute(
                "SELECT run_id::text, trace_id::text FROM traces_app_runpart WHERE run_id = ANY(%s::uuid[])"
                " ORDER BY kind DESC, trace_id",
                (wanted,),
            )
            return {uuid_bytes(run): uuid_bytes(trace) for run, trace in cur.fetchall()}

        return await self.run(read)
