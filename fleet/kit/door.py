"""The server's door: what never becomes a request is turned away after a while and after so many bytes.

    uvicorn … --http fleet.kit.door:Door

uvicorn waits for ever for the rest of a head (or of a chunk's size, or of a trailer) and keeps all that arrives of it,
and as long for the rest of a body.
It also writes an answer's head and its body apart, which wakes the other side twice.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_WHY = {
    HTTPStatus.BAD_REQUEST: "this is not HTTP",
    HTTPStatus.REQUEST_TIMEOUT: "the request's headers did not arrive in time",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the request's headers are too large",
}


class JoinedWrites:
    """A transport that sends what one turn of the loop writes in one go, or earlier: when told that this was all of it,
    and when it is much, so that the transport may say stop.
    """

    MUCH = 64 * 1024

    __slots__ = ("_loop", "_parts", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > self.MUCH:
            self.flush()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Door(HttpToolsProtocol):
    """Counts the bytes that led to nothing yet: neither to a whole head nor to a piece of a body."""

    #: Longest a head may be on its way, from its first byte; and a fresh connection silent.
    PATIENCE_S = 10.0
    #: Longest that a body may stand still; dispatcher and workers give the whole of it 30 s.
    BODY_S = 40.0
    #: Real clients send 2 KB, browsers with all their cookies 16.
    MOST_BYTES = 64 * 1024

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._joined = JoinedWrites(transport, self.loop)
        self.transport = cast("asyncio.Transport", self._joined)
        self._unused = 0
        self._why = HTTPStatus.BAD_REQUEST
        self._timer: asyncio.TimerHandle | None = None
        self._wait(self.PATIENCE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused += len(data)
        super().data_received(data)
        if self._unused > self.MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._unused:
            if self._timer is None:
                self._wait(self.PATIENCE_S)
        elif self._amid_body():
            self._wait(self.BODY_S)
        else:
            self._be_patient()

    def on_headers_complete(self) -> None:
        if self._unused > self.MOST_BYTES and self._head_size() > self.MOST_BYTES:
            self._why = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError(_WHY[self._why])  # the parser stops, and uvicorn asks for `send_400_response`
        self._unused = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._joined.flush()  # what the application still does after its answer keeps nobody waiting
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._why)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _wait(self, seconds: float) -> None:
        self._be_patient()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _be_patient(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._amid_body():
            if self.flow.read_paused:  # the application reads slowly, not the caller writes
                self._wait(self.BODY_S)
            else:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request's body did not arrive in time")
        elif self._serving():  # it sends its next request early; the one under way has deadlines of its own
            self._wait(self.PATIENCE_S)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _serving(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _amid_body(self) -> bool:
        return self._serving() and self.cycle.more_body

    def _amid_answer(self) -> bool:
        """Whether bytes of an answer are out, or those of an earlier request's may be."""
        return self._serving() and (self.cycle.response_started or bool(self.pipeline))

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        """Say why, unless that would land in the middle of an answer, and close."""
        if self.transport.is_closing():
            return
        if not self._amid_answer():
            body = json.dumps({"detail": why or _WHY[status], "kind": "client"}).encode()
            self.transport.write(
                STATUS_LINE[status] + b"content-type: application/json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
            )
        self.transport.close()
