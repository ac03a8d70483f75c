"""Many requests, one transaction: requests that wait while one commits are written together by the next.

A request is answered only after its commit. While the database is away the write is tried again for as long as
senders are known to wait; that is safe because every write is idempotent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque

import psycopg

from traces_app.ingest.decode_langsmith import quarantine
from traces_app.store.pack import dump, pack, unpack
from traces_app.store.records import Bundle
from traces_app.store.writer import Connection, RacedError, Writer

log = logging.getLogger(__name__)

MAX_PARTS = 3000  # of one transaction
PATIENCE_S = 8.0  # the Python SDK gives up reading after 10
_AGAIN = (RacedError, psycopg.OperationalError, psycopg.errors.UniqueViolation, psycopg.InterfaceError)


class UnavailableError(Exception):
    """The database did not take it in time; nothing was acknowledged."""


class _Waiting:
    __slots__ = ("bundle", "deadline", "done")

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.deadline = time.monotonic() + PATIENCE_S
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class GroupCommit:
    """One connection, one writer, a queue before it."""

    def __init__(self, database_url: str, writer: Writer) -> None:
        self._url = database_url
        self._writer = writer
        self._queue: deque[_Waiting] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._conn: Connection | None = None
        self._closing = False

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, then close."""
        self._closing = True
        self._more.set()
        if self._task is not None:
            await self._task
        await self._drop_connection()

    async def commit(self, bundle: Bundle) -> None:
        """Return once the bundle is durable. Raises `UnavailableError`."""
        waiting = _Waiting(bundle)
        self._queue.append(waiting)
        self._more.set()
        await waiting.done

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            if not self._queue:
                self._more.clear()
                await self._more.wait()
                continue
            group = self._take()
            try:
                await self._write(group)
            except Exception as error:  # the writer must outlive any one group
                log.exception("group commit failed")
                _fail(group, error)

    def _take(self) -> list[_Waiting]:
        group, size = [], 0
        while self._queue and size < MAX_PARTS:
            waiting = self._queue.popleft()
            size += len(waiting.bundle.parts)
            group.append(waiting)
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        pause = 0.02
        while True:
            try:
                await self._writer.write(await self._connection(), [w.bundle for w in group])
            except psycopg.DataError as error:
                await self._split(group, error)
                return
            except _AGAIN as error:
                if isinstance(error, psycopg.errors.UniqueViolation) and len(group) > 1:
                    await self._halves(group)  # whatever is at odds with what is stored holds up itself alone
                    return
                if not isinstance(error, RacedError):
                    log.warning("write failed, trying again: %s", error)
                    await self._drop_connection()
                if min(w.deadline for w in group) < time.monotonic() + pause:
                    _fail(group, error)
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
            else:
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_result(None)
                return

    async def _halves(self, group: list[_Waiting]) -> None:
        middle = len(group) // 2
        await self._write(group[:middle])
        await self._write(group[middle:])

    async def _split(self, group: list[_Waiting], error: psycopg.DataError) -> None:
        """Find the item the database cannot take: halves of the group, then the parts of one request."""
        if len(group) > 1:
            await self._halves(group)
            return
        only = group[0]
        for bundle in _singles(only.bundle, str(error).partition("\n")[0]):
            inner = _Waiting(bundle)
            await self._write_single(inner)
            if inner.done.exception():
                _fail(group, inner.done.exception())
                return
        if not only.done.done():
            only.done.set_result(None)

    async def _write_single(self, waiting: _Waiting) -> None:
        try:
            await self._writer.write(await self._connection(), [waiting.bundle])
        except psycopg.DataError as error:
            part = waiting.bundle.parts[0] if waiting.bundle.parts else None
            item = part.run_id.hex() if part else "attachment"
            refused = Bundle(quarantined=[quarantine("store", str(error).partition("\n")[0], item, b"")])
            await self._write([_joined(waiting, refused)])
        except _AGAIN as error:
            waiting.done.set_exception(error)
        else:
            waiting.done.set_result(None)

    async def _connection(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=2, application_name="ingest"
            )
        return self._conn

    async def _drop_connection(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error):
                await conn.close()


def _singles(bundle: Bundle, reason: str) -> list[Bundle]:
    """Return one bundle for each part of the bundle, with its chunk, and one for the rest."""
    chunks = {(c.trace_id, c.chunk_id): (unpack(c.facts), unpack(c.payload)) for c in bundle.chunks}
    singles = []
    for part in bundle.parts:
        part.facts, payload = (values[part.slot] for values in chunks[part.trace_id, part.chunk_id])
        singles.append(Bundle(parts=[part], chunks=[pack([part], dump([part.facts]), dump([payload]))]))
    singles += [Bundle(attachments=[a]) for a in bundle.attachments]
    singles += [Bundle(feedback=[f]) for f in bundle.feedback]
    if not singles:
        raise UnavailableError(reason)
    return [*singles, Bundle(quarantined=bundle.quarantined)]


def _joined(waiting: _Waiting, bundle: Bundle) -> _Waiting:
    replacement = _Waiting(bundle)
    replacement.done = waiting.done
    return replacement


def _fail(group: list[_Waiting], error: BaseException | None) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(UnavailableError(str(error)))
