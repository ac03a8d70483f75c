"""What is live now: the newest published routing document, the key ring and the holds over breakers.

All of it is in memory, on disk, and followed.

Used by the dispatcher and by ingest; imports no Django. The database may go away at any time: the last good
state stays, and a copy on disk (hashes of keys only) lets a fresh process start without a database.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from contract.routing_document import RoutingDocument, RoutingDocumentError, canonical_bytes, parse
from registry_app.keyring import KeyRing, load_keyring
from routing_app.patience import hang_up_after
from routing_app.propagation import Serving, connection_name, this_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

CHANNEL = "platform_live"
POLL_S = 1.0
RECONNECT_S = 0.5
ANSWER_S = 5.0
FIRST_READ_S = 3.0
_HOLDS = """
    SELECT pool, url, state, extract(epoch FROM until)::float8 FROM routing_app_breakerhold WHERE until > now()
    ORDER BY pool, url
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """An operator's word over the breaker of one replica, until a moment (seconds since 1970)."""

    pool: str
    url: str
    state: Literal["open", "closed"]
    until: float


class LiveState:
    """Follows revisions, keys and holds by LISTEN, and by polling as a fallback. `part` is who follows: see propagation."""

    def __init__(self, database_url: str, data_dir: Path, part: str) -> None:
        self.document: RoutingDocument | None = None
        self.keyring = KeyRing(())
        self.holds: tuple[Hold, ...] = ()
        self.database_up = False
        #: When the database last confirmed what is held here; None: never, it came from disk.
        self.confirmed_at: datetime | None = None
        self._url = database_url
        self._part = part
        self._taken_at = datetime.now(UTC)
        self._folder = data_dir / "live"
        self._watchers: list[Callable[[RoutingDocument], None]] = []
        self._hold_watchers: list[Callable[[tuple[Hold, ...]], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._read_once = asyncio.Event()
        self._on_disk: dict[str, bytes] = {}

    def on_document(self, watcher: Callable[[RoutingDocument], None]) -> None:
        """`watcher` is called with each new document, in the event loop, at once when there is one already."""
        self._watchers.append(watcher)
        if self.document is not None:
            watcher(self.document)

    def on_holds(self, watcher: Callable[[tuple[Hold, ...]], None]) -> None:
        """`watcher` is called with all holds whenever they changed, in the event loop."""
        self._hold_watchers.append(watcher)
        watcher(self.holds)

    async def start(self) -> None:
        """Load the copies on disk, then follow the database; waits shortly for the first read."""
        self._load_disk()
        if not self._url:
            return
        self._task = asyncio.get_running_loop().create_task(self._follow())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_READ_S):
                await self._read_once.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_connection()
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self.database_up or not self._read_once.is_set():
                    log.warning("live state: the database is away (%s); going on with what is known", error)
                self.database_up = False
                self._read_once.set()
            await asyncio.sleep(RECONNECT_S)

    async def _follow_connection(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=2, application_name=self._serving()
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            while True:  # notices sent before LISTEN, or lost, are made good by reading afresh each round
                with hang_up_after(connection, ANSWER_S):
                    await self._refresh(connection)
                async for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass

    async def _refresh(self, connection: psycopg.AsyncConnection) -> None:
        await self._refresh_document(connection)
        ring = await load_keyring(connection)
        self.keyring = ring
        self._save("keys.json", ring.to_json())
        cursor = await connection.execute(_HOLDS)
        self._take_holds(tuple(Hold(*row) for row in await cursor.fetchall()))
        self.database_up = True
        self.confirmed_at = datetime.now(UTC)
        self._read_once.set()

    async def _refresh_document(self, connection: psycopg.AsyncConnection) -> None:
        held = self.document["version"] if self.document is not None else 0
        cursor = await connection.execute(
            "SELECT document FROM routing_app_routingrevision WHERE version = "
            "(SELECT max(version) FROM routing_app_routingrevision) AND version <> %s",
            (held,),
        )
        row = await cursor.fetchone()
        if row is not None:
            self._take(row[0])
            await connection.execute("SELECT set_config('application_name', %s, false)", (self._serving(),))

    def _serving(self) -> str:
        version = self.document["version"] if self.document is not None else 0
        return connection_name(Serving(self._part, this_process(), version, self._taken_at))

    def _take(self, raw: bytes | dict[str, Any]) -> None:
        """Hold a new document; one that does not parse is refused loudly and the last good one stays."""
        try:
            document = parse(raw)
        except RoutingDocumentError as error:
            log.error("live state: published routing document refused: %s", error)
            return
        self.document, self._taken_at = document, datetime.now(UTC)
        self._save("routing.json", canonical_bytes(document))
        for watcher in self._watchers:
            watcher(document)

    def _take_holds(self, holds: tuple[Hold, ...]) -> None:
        self._save("holds.json", json.dumps([asdict(hold) for hold in holds]).encode())
        if holds == self.holds:
            return
        self.holds = holds
        for watcher in self._hold_watchers:
            watcher(holds)

    def _load_disk(self) -> None:
        with contextlib.suppress(OSError):
            self._take((self._folder / "routing.json").read_bytes())
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._take_holds(
                tuple(Hold(**row) for row in json.loads((self._folder / "holds.json").read_bytes()))
            )
        try:
            self.keyring = KeyRing.from_json((self._folder / "keys.json").read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("live state: the key file on disk is not readable: %s", error)

    def _save(self, name: str, content: bytes) -> None:
        """Replace the copy on disk when it changed; a full disk is not a reason to stop serving."""
        if self._on_disk.get(name) == content:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = self._folder / f"{name}.{os.getpid()}.part"
            part.touch(mode=0o600)
            part.write_bytes(content)
            part.replace(self._folder / name)
        except OSError as error:
            log.error("live state: %s not written: %s", name, error)
            return
        self._on_disk[name] = content
