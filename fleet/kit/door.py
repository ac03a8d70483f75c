"""The server's door: HTTP/1.1 as uvicorn's server asks for it, with an end to all that never becomes a request.

    uvicorn … --http fleet.kit.door:Door --no-proxy-headers

uvicorn's own protocol waits for ever for the rest of a head (or of a chunk's size, or of a trailer) and keeps all that
arrives of it, and as long for the rest of a body; it writes an answer's head and its body apart, which wakes the other
side twice; and what it does for each request cost more than to route one. WebSockets and an access log are not served.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from fleet.kit.exchange import MUCH, STATUS_LINES, Exchange

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = logging.getLogger("uvicorn.error")

NEVER = float("inf")

_WHY = {
    HTTPStatus.BAD_REQUEST: "this is not HTTP",
    HTTPStatus.REQUEST_TIMEOUT: "the request's headers did not arrive in time",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the request's headers are too large",
}
_FAILED = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"21"),
    (b"connection", b"close"),
)


class Door(asyncio.Protocol):
    """One connection. Counts the bytes that led to nothing yet: neither to a whole head nor to a piece of a body."""

    #: Longest a head may be on its way, from its first byte; and a fresh connection silent.
    PATIENCE_S = 10.0
    #: Longest that a body may stand still; dispatcher and workers give the whole of it 30 s.
    BODY_S = 40.0
    #: Real clients send 2 KB, browsers with all their cookies 16.
    MOST_BYTES = 32 * 1024

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app = config.loaded_app
        self._root_path, self._raw_root = config.root_path, config.root_path.encode("ascii")
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self._keep_alive_s = config.timeout_keep_alive
        self._server, self._state = server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_data_after_close=True
        )  # the answer before it stays good
        #: The one that is served, then those that were sent before it was answered.
        self._exchanges: deque[Exchange] = deque()
        self._unused = 0
        self._why = HTTPStatus.BAD_REQUEST
        self._reading = True
        #: Set while the caller reads more slowly than we write.
        self.held_up: asyncio.Event | None = None
        self._out: list[bytes] = []
        self._out_size = 0
        #: Whether nothing was asked for yet.
        self._fresh = True
        self._due = NEVER
        self._timer: asyncio.TimerHandle | None = None

    # -- the connection -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)  # type: ignore[arg-type]
        self._ends = {
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "scheme": "https" if is_ssl(self._transport) else "http",
        }
        self._within(self.PATIENCE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        for exchange in self._exchanges:
            exchange.lost()
        self._exchanges.clear()
        self.resume_writing()
        self._parser = None  # they know each other

    def shutdown(self) -> None:
        """The server stops: what is under way is answered first."""
        if self._exchanges:
            self._exchanges[-1].keep_alive = False
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        begins = not self._unused
        self._unused += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # none is served: it is answered as if it had not asked
        except httptools.HttpParserError:
            self._refuse(self._why)
            return
        if self._unused > self.MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._amid_body():
            if not self._unused:
                self._within(self.BODY_S)
        elif self._unused:
            if begins:
                self._within(self.PATIENCE_S)
        elif self._exchanges:
            self._due = NEVER
        else:  # the rest of what was answered early
            self._within(self._keep_alive_s)

    # -- what the parser finds ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._unused > self.MOST_BYTES and self._head_size() > self.MOST_BYTES:
            self._why = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError(_WHY[self._why])  # the parser stops
        self._unused = 0
        self._fresh = False
        parser, headers = self._parser, self._headers
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        version = parser.get_http_version()
        scope = {
            "type": "http",
            "asgi": self._asgi,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "root_path": self._root_path,
            "path": self._root_path + (unquote(path) if "%" in path else path),
            "raw_path": self._raw_root + url.path,
            "query_string": url.query or b"",
            "headers": headers,
            "state": self._state.copy(),
            **self._ends,
        }
        exchange = Exchange(
            self,
            scope,
            keep_alive=version != "1.0" and parser.should_keep_alive() and not parser.should_upgrade(),
            wants_continue=(b"expect", b"100-continue") in headers,
        )
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._serve(exchange)
        else:
            self.pause_reading()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        if self._exchanges:
            self._exchanges[-1].body_came(body)

    def on_message_complete(self) -> None:
        self._unused = 0
        if self._exchanges:
            self._exchanges[-1].body_ended()

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) for name, value in self._headers)

    # -- serving --------------------------------------------------------------------------------------------

    def _serve(self, exchange: Exchange) -> None:
        exchange.task = self._loop.create_task(self._run(exchange))
        self._server.tasks.add(exchange.task)

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
            if not exchange.answered and not exchange.gone:
                raise RuntimeError("the application returned without an answer")
        except BaseException as error:
            log.error("Exception in ASGI application\n", exc_info=error)
            await self._fail(exchange)
        finally:
            self._server.tasks.discard(exchange.task)

    async def _fail(self, exchange: Exchange) -> None:
        exchange.take_back()
        if exchange.started and not exchange.answered:
            self._close()  # only a cut connection says that this is not all
        elif not exchange.started:
            await exchange.send({"type": "http.response.start", "status": 500, "headers": _FAILED})
            await exchange.send({"type": "http.response.body", "body": b"Internal Server Error"})

    @property
    def usual_headers(self) -> list[tuple[bytes, bytes]]:
        return self._server.default_headers

    def answered(self, last: bytes, *, keep: bool) -> None:
        """The answer is whole: it goes out at once, for what the application still does keeps nobody waiting."""
        self._server.total_requests += 1
        self._exchanges.popleft()
        self._out.append(last)
        self._flush()
        if not keep:
            self._transport.close()
        elif not self._transport.is_closing():
            self.resume_reading()
            if self._exchanges:
                self._serve(self._exchanges[0])
            elif not self._unused:
                self._within(self._keep_alive_s)

    # -- reading and writing --------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send with all else that this turn of the loop writes; earlier when it is much, so that we may be told to wait."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > MUCH:
            self._flush()

    def _flush(self) -> None:
        parts, self._out, self._out_size = self._out, [], 0
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def _close(self) -> None:
        self._flush()
        self._transport.close()

    def pause_writing(self) -> None:
        self.held_up = asyncio.Event()

    def resume_writing(self) -> None:
        if self.held_up is not None:
            self.held_up.set()
            self.held_up = None

    # -- time -----------------------------------------------------------------------------------------------

    def _within(self, seconds: float) -> None:
        """Give up then, unless something sets another time. Each request sets some and next to none comes to pass, so
        there is one timer, which looks again when it is early.
        """
        self._due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due <= self._loop.time():
            self._give_up()
        elif self._due < NEVER:
            self._timer = self._loop.call_at(self._due, self._look)

    def _give_up(self) -> None:
        if self._amid_body():
            if self._reading:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request's body did not arrive in time")
            else:  # the application reads slowly, not the caller writes
                self._within(self.BODY_S)
        elif self._exchanges:  # it sends its next request early; the one under way has deadlines of its own
            self._within(self.PATIENCE_S)
        elif self._unused or self._fresh:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._transport.close()

    def _amid_body(self) -> bool:
        return bool(self._exchanges) and self._exchanges[-1].more_body

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        """Say why, unless that would land in the middle of an answer, and close."""
        if self._transport.is_closing():
            return
        if not self._amid_answer():
            body = json.dumps({"detail": why or _WHY[status], "kind": "client"}).encode()
            self.write(
                STATUS_LINES[status] + b"\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
            )
        self._close()

    def _amid_answer(self) -> bool:
        """Whether bytes of an answer are out, or those of an earlier request's may be."""
        return bool(self._exchanges) and (self._exchanges[0].started or len(self._exchanges) > 1)
