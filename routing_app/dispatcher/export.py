"""GET /routing.json: the live document for callers, from memory, so that asking again costs next to nothing.

It answers without the database too. With it, whoever has just published reads what was published: the newest
number is asked for first, and the document awaited when it is still on its way here.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import psycopg

from contract.routing_document import canonical_bytes
from routing_app.dispatcher.errors import Problem
from routing_app.dispatcher.gate import authenticate, require_scope

if TYPE_CHECKING:
    from contract.routing_document import RoutingDocument
    from routing_app.dispatcher.asgi_types import Headers
    from routing_app.dispatcher.call import Call
    from routing_app.live import LiveState

PATH = "/routing.json"
SCOPE = "read"
#: Longest wait for the database's word; past it, what is held is answered.
ASK_S, ARRIVE_S = 0.25, 1.0
_NEWEST = "SELECT max(version) FROM routing_app_routingrevision"


class Export:
    """Holds the canonical bytes of the live document and their ETag."""

    def __init__(self, live: LiveState, database_url: str) -> None:
        self._live = live
        self._url = database_url
        self._version = 0
        self._etag = ""
        self._body = b""
        self._arrived = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._one_at_a_time = asyncio.Lock()
        live.on_document(self._take)

    async def stop(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def handle(self, call: Call) -> None:
        """Raises Problem 401, 403, 404, 405, or 503 while the document is on its way here."""
        require_scope(authenticate(call.headers, self._live.keyring), SCOPE)
        if call.method not in ("GET", "HEAD"):
            raise Problem(405, "only GET and HEAD", kind="client", code="METHOD_NOT_ALLOWED")
        newest = await self._catch_up()
        if not self._body:
            if newest == 0:
                raise Problem(404, "nothing has been published yet", kind="client", code="NOT_PUBLISHED")
            late = "the routing document has not arrived here yet"
            raise Problem(503, late, kind="backend", code="NOT_LOADED", retry_after=1)
        headers: Headers = [
            (b"etag", self._etag.encode()),
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Authorization, X-Api-Key"),
        ]
        if matches(call.headers.get(b"if-none-match", b"").decode("latin-1"), self._etag):
            await call.start(304, headers)
            await call.finish()
            return
        await call.answer(200, self._body, headers)

    def _take(self, document: RoutingDocument) -> None:
        self._version = document["version"]
        self._etag, self._body = etag(document["version"], document["digest"]), canonical_bytes(document)
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def _catch_up(self) -> int | None:
        """Wait a moment for the newest document and return its number."""
        newest = await self._newest() if self._live.database_up else None
        if newest is not None and newest > self._version:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ARRIVE_S):
                    while newest > self._version:
                        await self._arrived.wait()
        return newest

    async def _newest(self) -> int | None:
        """The newest number in the database, 0 before the first; None when it does not say in time."""
        try:
            async with asyncio.timeout(ASK_S), self._one_at_a_time:
                return await self._ask()
        except (psycopg.Error, OSError, TimeoutError):
            return None

    async def _ask(self) -> int:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=2, application_name="routing-json"
            )
        try:
            row = await (await self._connection.execute(_NEWEST)).fetchone()
        except BaseException:  # an interrupted connection is in no known state
            await self._connection.close()
            raise
        return int(row[0] or 0) if row else 0


def etag(version: int, digest: str) -> str:
    """Number and digest, so that a roll-back is news too."""
    return f'"{version}-{digest}"'


def matches(given: str, tag: str) -> bool:
    """Whether an If-None-Match names the tag."""
    return given.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in given.split(","))
