"""One request and its answer as ASGI sees them; the door (`fleet.kit.door`) owns the connection."""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from fleet.kit.door import Door

    Message = MutableMapping[str, Any]

#: Beyond this much of a body that nobody took, the caller is made to wait.
MUCH = 64 * 1024

#: All that must not stand in a head: whatever an application takes into a header, it cannot begin another.
_CONTROLS = bytes({*range(0x20), 0x7F} - {ord("\t")})


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


STATUS_LINES = {status: _status_line(status) for status in range(100, 600)}


class Exchange:
    """Fed by the door with the body as it comes; `receive` and `send` are the application's."""

    __slots__ = (
        "_arrived",
        "_bodiless",
        "_chunked",
        "_continue",
        "_door",
        "_head",
        "_left",
        "_parts",
        "_size",
        "_told",
        "answered",
        "gone",
        "keep_alive",
        "more_body",
        "scope",
        "started",
        "task",
    )

    def __init__(self, door: Door, scope: Message, *, keep_alive: bool, wants_continue: bool) -> None:
        self.scope = scope
        #: What serves it.
        self.task: asyncio.Task[None]
        self.keep_alive = keep_alive
        #: Whether more of the request's body is to come.
        self.more_body = True
        #: Whether the answer's head is known, and whether all of it is out.
        self.started = self.answered = False
        #: The caller closed the connection.
        self.gone = False
        self._door = door
        self._continue = wants_continue
        self._parts: list[bytes] = []
        self._size = 0
        self._told = False
        self._arrived: asyncio.Event | None = None
        self._chunked = self._bodiless = False
        #: Of an answer of known length: it goes out together with what comes first of the body.
        self._head = b""
        self._left = 0

    # -- the request ----------------------------------------------------------------------------------------

    def body_came(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > MUCH:
            self._door.pause_reading()
        self._news()

    def body_ended(self) -> None:
        self.more_body = False
        self._news()

    def lost(self) -> None:
        if not self.answered:
            self.gone = True
        self._news()

    def _news(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    async def receive(self) -> Message:
        """What came of the body, waiting for it; once all of it was given, the end of the exchange."""
        if self._continue and not self.started:
            self._continue = False
            self._door.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.gone or self.answered or self._parts or (not self.more_body and not self._told)):
            self._door.resume_reading()
            if self._arrived is None:
                self._arrived = asyncio.Event()
            self._arrived.clear()
            await self._arrived.wait()
        if self.gone or self.answered:
            return {"type": "http.disconnect"}
        parts, self._parts, self._size = self._parts, [], 0
        self._told = not self.more_body
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    # -- the answer -----------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        if self._door.held_up is not None:
            await self._door.held_up.wait()
        if self.gone:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.started:
            self._start(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self.started and not self.answered:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is out of turn")

    def _start(self, status: int, given: Iterable[tuple[bytes, bytes]]) -> None:
        headers = [*self._door.usual_headers, *given]
        by_name = dict(headers)
        if b"content-length" not in by_name:  # perhaps an application that does not write names in lower case
            by_name = {name.lower(): value for name, value in headers}
        length = by_name.get(b"content-length")
        self._bodiless = self.scope["method"] == "HEAD" or status in (204, 304)
        self._chunked = length is None and not self._bodiless
        self._left = int(length or 0)
        if self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        if b"close" in by_name.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        head = b"\r\n".join((STATUS_LINES[status], *map(b": ".join, headers), b"\r\n"))
        if len(head.translate(None, _CONTROLS)) != len(head) - 2 * (len(headers) + 2):
            raise RuntimeError("a header of the answer holds a control character")
        self.started = True
        if self._chunked:
            self._door.write(head)
        else:
            self._head = head

    def take_back(self) -> None:
        """Forget an answer of which nothing is out yet."""
        if self._head:
            self._head, self.started = b"", False

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self._chunked:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            part = framed if more else framed + b"0\r\n\r\n"
        elif self._bodiless:
            part, self._head, self._left = self._head, b"", 0
        elif len(body) > self._left:
            raise RuntimeError("the answer is longer than its content-length")
        else:
            part, self._head = self._head + body, b""
            self._left -= len(body)
        if more:
            self._door.write(part)
        elif self._left:
            raise RuntimeError("the answer is shorter than its content-length")
        else:
            self.answered = True
            self._news()
            self._door.answered(part, keep=self.keep_alive)
