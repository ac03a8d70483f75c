"""Dispatch records: one row a request, written behind the request, never on its way.

Records wait in memory and are inserted in batches. While the database is away, batches go to files
(one JSON object a line) and are inserted when it is back; rows are keyed, so a replay changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import psycopg

from routing_app.patience import hang_up_after

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

TABLE = "routing_app_dispatchrecord"


class Record(msgspec.Struct, gc=False, omit_defaults=True):
    """One row of the table; field names are its columns. Most of a row are defaults, which `INSERT` puts in."""

    id: str
    received_at: datetime
    request_id: str
    method: str
    path: str
    assistant_id: str = ""
    pool: str = ""
    replica: str = ""
    routing_version: int = 0
    routing_digest: str = ""
    status: int = 0
    error_kind: str = ""
    error: str = ""
    graph_failed: bool = False
    run_id: str = ""
    thread_id: str = ""
    key_prefix: str = ""
    key_name: str = ""
    caller: str = ""
    w3c_trace_id: str = ""
    w3c_parent_id: str = ""
    w3c_minted: bool = False
    ls_trace_id: str = ""
    ls_parent_run_id: str = ""
    ls_project: str = ""
    dropped_headers: tuple[str, ...] = ()
    executed_pool: str = ""
    executed_graph_digest: str = ""
    decided_graph_digest: str = ""
    queued_ms: float = 0.0
    ttfb_ms: float = 0.0
    total_ms: float = 0.0
    ended_at: datetime | None = None


_COLUMNS = ", ".join(Record.__struct_fields__)
_DEFAULTS = msgspec.json.encode(
    dict(zip(reversed(Record.__struct_fields__), reversed(Record.__struct_defaults__), strict=False))
).decode()
#: The rows travel as one JSON text, so a batch costs the client one parameter, and the spool is the same text. A
#: record becomes its bytes at once: thousands of live objects that wait would cost each request the processor's cache.
INSERT = (
    f"INSERT INTO {TABLE} ({_COLUMNS}) SELECT {_COLUMNS} "  # noqa: S608 - names of our own fields
    f"FROM json_populate_recordset(json_populate_record(NULL::{TABLE}, '{_DEFAULTS}'), %s::json) "
    f"ON CONFLICT (id) DO NOTHING"
)


class Recorder:
    """Takes records at any rate and brings them to the table, or to disk until the table can be reached."""

    BATCH = 500
    WAITING = 20_000  # beyond this, what waits goes to disk at once
    PAUSE_S = 0.2
    RETRY_S = 1.0

    def __init__(self, database_url: str, spool: Path) -> None:
        self.written = self.spooled = self.rejected = 0
        self._url = database_url
        self._spool = spool
        self._waiting: deque[bytes] = deque()
        self._encode = msgspec.json.Encoder().encode
        self._task: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection | None = None
        self._files = 0
        self._spool_waits = True  # a former process may have left files

    def add(self, record: Record) -> None:
        self._waiting.append(self._encode(record))
        if len(self._waiting) > self.WAITING:
            self._to_disk(self._take(self.WAITING))

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def start(self) -> None:
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, to the table or to disk."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while self._waiting:
            await self._flush()
        if self._connection is not None:
            await self._connection.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.PAUSE_S)
            while self._waiting:
                await self._flush()
            if self._spool_waits:
                await self._replay()

    async def _flush(self) -> None:
        rows = self._take(self.BATCH)
        try:
            await self._insert(_array(rows))
        except psycopg.OperationalError:
            await self._disconnect()
            self._to_disk(rows)
        except psycopg.Error:
            await self._one_by_one(rows)
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(rows))
            raise
        else:
            self.written += len(rows)

    async def _one_by_one(self, rows: list[bytes]) -> None:
        """The table refused the batch: every row but the bad one is stored."""
        for row in rows:
            payload = _array([row])
            try:
                await self._insert(payload)
            except psycopg.OperationalError:
                self._to_disk([row])
            except psycopg.Error as error:
                log.warning("dispatch record refused, kept in %s: %s", self._spool, error)
                self._keep_rejected(payload, error)
            else:
                self.written += 1

    async def _insert(self, payload: bytes) -> None:
        if not self._url:
            raise psycopg.OperationalError("no database is configured")
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=2, application_name="dispatcher-records"
            )
        with hang_up_after(self._connection, 10):
            await self._connection.execute(INSERT, (payload.decode(),))

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None

    def _take(self, limit: int) -> list[bytes]:
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def _to_disk(self, rows: list[bytes]) -> None:
        self._files += 1
        path = self._spool / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}-{self._files}.json"
        part = path.with_suffix(".part")
        part.write_bytes(_array(rows))
        part.chmod(0o600)
        part.rename(path)
        self._spool_waits = True
        self.spooled += len(rows)

    async def _replay(self) -> None:
        for path in sorted(self._spool.glob("*.json")):
            payload = path.read_bytes()
            try:
                await self._insert(payload)
            except psycopg.OperationalError:
                await self._disconnect()
                await asyncio.sleep(self.RETRY_S)
                return
            except psycopg.Error as error:
                self._keep_rejected(payload, error)
            path.unlink(missing_ok=True)
        self._spool_waits = False

    def _keep_rejected(self, payload: bytes, error: psycopg.Error) -> None:
        self.rejected += 1
        self._files += 1
        name = f"rejected-{os.getpid()}-{self._files}.{type(error).__name__}"
        (self._spool / name).write_bytes(payload)


def _array(rows: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(rows)
