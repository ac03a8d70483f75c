"""Real rows for the dispatcher's tests, and a wire to the database that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import psycopg

from registry_app.keyring import hash_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def execute(url: str, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(sql, arguments)
        return await cursor.fetchall() if cursor.description else []


async def publish_row(url: str, document: dict[str, Any]) -> None:
    await execute(
        url,
        "INSERT INTO routing_app_routingrevision "
        "(version, document, digest, reason, author_name, base_version, published_at) "
        "VALUES (%s, %s, %s, 'test', 'test', 0, now())",
        document["version"],
        json.dumps(document),
        document["digest"],
    )


async def key_row(url: str, raw: str, *scopes: str) -> None:
    await execute(
        url,
        "INSERT INTO registry_app_apikey "
        "(name, prefix, key_hash, scopes, project, trusted_tracing, created_at, created_by) "
        "VALUES ('test', %s, %s, %s, '', true, now(), '')",
        raw[:8],
        hash_key(raw),
        list(scopes),
    )


async def hold_row(url: str, pool: str, replica: str, state: str) -> None:
    await execute(
        url,
        "INSERT INTO routing_app_breakerhold (pool, url, state, reason, held_by, until) "
        "VALUES (%s, %s, %s, 'test', 'test', now() + interval '1 hour')",
        pool,
        replica,
        state,
    )


class Wire:
    """Forwards one unix socket to another until it is cut: to the dispatcher, the database is then away."""

    def __init__(self, target: str, folder: Path) -> None:
        self._target = target
        self.path = folder / ".s.PGSQL.5432"
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        #: Cleared, connections stay open and nothing goes through them.
        self.flows = asyncio.Event()
        self.flows.set()

    async def join(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def cut(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.flows.set()
        for writer in list(self._writers):
            writer.transport.abort()
        self.path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._writers -= {writer, there_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def wired(url: str, folder: Path) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the database of `url`, and the URL that goes through it."""
    parts = urlsplit(url)
    host = unquote(parse_qs(parts.query)["host"][0])
    wire = Wire(f"{host}/.s.PGSQL.5432", folder)
    await wire.join()
    try:
        yield wire, f"postgresql://postgres@{parts.path}?host={quote(str(folder), safe='')}"
    finally:
        await wire.cut()
