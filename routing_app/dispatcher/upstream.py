"""HTTP/1.1 to one replica: connections kept while idle, answers as they arrive, failures told apart.

A general client spends most of a proxied request's CPU on what a dispatcher does not need (URL objects, cookies,
redirects, header multidicts). It also cannot say whether a request may have been read, which decides here between
a safe retry and an error inside a 200.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httptools

from routing_app.dispatcher.rounds import NEVER

if TYPE_CHECKING:
    from routing_app.dispatcher.asgi_types import Headers

#: Below the keep-alive of uvicorn (5 s): a POST never goes out on a connection the pool is just closing.
IDLE_S = 3.0
_HIGH_WATER = 256 * 1024
_JOINED = 64 * 1024
#: The headers that say where an answer ends.
_FRAMES = {b"content-length", b"transfer-encoding"}


class NotReached(Exception):
    """The request provably began nothing: there was no connection, or the replica said so (`Leaving`)."""


class Leaving(NotReached):
    """The replica is stopping and takes nothing more."""


class Silent(Exception):
    """Nothing came for as long as the pool's idle limit allows."""


class Cut(Exception):
    """The connection ended, or spoke no HTTP, before the answer was whole."""


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time: `begin`, then `read` until b"", then `release`."""

    def __init__(self, home: Endpoint) -> None:
        self._home = home
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.idle_since = 0.0
        self._reset(0.0, bodiless=True)

    def _reset(self, idle_s: float, *, bodiless: bool) -> None:
        self.status = 0
        self.headers: Headers = []
        #: When what is waited for must have come; whoever waits without a deadline of its own looks at it.
        self.due = NEVER
        self._idle_s = idle_s
        self._bodiless = bodiless
        self._parts: list[bytes] = []
        self._size = 0
        self._complete = self._keep = self._informational = self._paused = False
        self._error: Silent | Cut | None = None

    # -- the exchange ---------------------------------------------------------------------------------------

    async def begin(self, head: bytes, body: bytes, *, idle_s: float, bodiless: bool = False) -> None:
        """Send a request and wait for status and headers; `bodiless` for HEAD. Raises Silent or Cut."""
        self._reset(idle_s, bodiless=bodiless)
        if len(body) < _JOINED:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        while not self.status:
            await self._news()

    @property
    def ended(self) -> bool:
        """Whether the whole answer was read."""
        return self._complete and not self._parts

    async def read(self) -> bytes:
        """What arrived since the last read, b"" at the end. Raises Silent or Cut."""
        while not self._parts:
            if self._complete:
                return b""
            await self._news()
        return self.take()

    def take(self) -> bytes:
        """What arrived since the last time, without waiting."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def release(self) -> None:
        """Keep the connection when the exchange ended well; otherwise end it, which cancels the work."""
        if self._complete and self._keep and not self.closed and not self._paused:
            self._home.keep(self)
        else:
            self.abort()

    def abort(self) -> None:
        if not self.closed:
            self._transport.abort()

    def stale(self) -> bool:
        """Whether an idle connection was closed by the other side, even if the event loop has not seen it yet."""
        if self.closed or self._transport.is_closing():
            return True
        return bool(self._probe.poll(0))

    def fall_silent(self) -> None:
        """Nothing came in time: whoever waits gets Silent."""
        self._fail(Silent())

    def _news(self) -> asyncio.Future[None]:
        """Done once something came, or will not come any more."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        self.due = time.monotonic() + self._idle_s
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        self.due = NEVER
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: Silent | Cut) -> None:
        if not self._complete and self._error is None:
            self._error = error
        self._wake()

    # -- asyncio and parser callbacks -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._probe = select.poll()
        self._probe.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._complete or self._idle_s == 0.0:  # bytes nobody asked for
            self._keep = False
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Cut("it answered with something that is not HTTP"))
            self._transport.abort()
        else:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.status and exc is None and _FRAMES.isdisjoint(name for name, _ in self.headers):
            self._complete = True  # it said to read until here
        self._fail(Cut(_why(exc) if exc else "it closed the connection"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._informational = True
            self.headers = []
            return
        self.status = status
        if self._bodiless:
            self._complete = True  # the parser would wait for the body that HEAD announces; keep is False

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._size += len(body)
        if self._size > _HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._informational:
            self._informational = False
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive() and not self._bodiless


class Endpoint:
    """The connections to one base URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self.prefix, self.host_header = parts.path.rstrip("/"), parts.netloc
        self._idle: deque[Connection] = deque()

    async def connection(self, connect_s: float) -> Connection:
        """An idle connection known to be open, or a new one; raises NotReached."""
        return self.idle() or await self.connect(connect_s)

    def idle(self) -> Connection | None:
        oldest = time.monotonic() - IDLE_S
        while self._idle:
            found = self._idle.pop()
            if found.idle_since >= oldest and not found.stale():
                return found
            found.abort()
        return None

    async def connect(self, connect_s: float) -> Connection:
        """A new connection; raises NotReached."""
        context = ssl.create_default_context() if self._tls else None
        try:
            async with asyncio.timeout(connect_s):
                _, made = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=context
                )
        except TimeoutError:
            raise NotReached("no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise NotReached(_why(error)) from None
        return made

    def keep(self, connection: Connection) -> None:
        connection.idle_since = now = time.monotonic()
        self._idle.append(connection)
        while self._idle[0].closed or self._idle[0].idle_since < now - IDLE_S:
            self._idle.popleft().abort()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().abort()


def _why(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
