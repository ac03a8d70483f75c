"""Two ways to wait for a run over HTTP: its outcome as one JSON body, or its events as they come.

Both answer 200 at once (JSON after 50 ms), so that the caller learns the run's id; while nothing is there to send, a line break
(JSON) or a comment (SSE) keeps the connection open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fleet.worker import sse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message, Receive, Scope, Send

    from fleet.worker.live import Listener, Outcome

HEARTBEAT_S = 5.0
#: A run this short is answered whole, in one write, and pays for no watcher.
QUICK_S = 0.05


class WaitAnswer:
    """Answers with the outcome of a run. `on_leave` is called when the reader goes away before it."""

    def __init__(
        self,
        task: asyncio.Future[Outcome],
        headers: Mapping[str, str],
        on_leave: Callable[[], None] | None = None,
    ) -> None:
        self._task = task
        self._headers = {"content-type": "application/json", **headers}
        self._on_leave = on_leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = self._task
        if await _ends_soon(task):
            body = task.result().body
            await send(_start({**self._headers, "content-length": str(len(body))}))
            await send(_part(body, more=False))
            return
        await send(_start(self._headers))
        left = asyncio.ensure_future(_left(receive))
        either: set[asyncio.Future[Any]] = {task, left}
        try:
            while True:
                done, _ = await asyncio.wait(either, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if task in done:
                    await send(_part(task.result().body, more=False))
                    return
                if left in done:
                    break
                await send(_part(b"\n", more=True))
            if self._on_leave is not None:
                self._on_leave()
        finally:
            left.cancel()


async def _ends_soon(task: asyncio.Future[Outcome]) -> bool:
    """Whether the task ends within `QUICK_S`; what `asyncio.wait` does, which takes thrice as long for it."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def tell(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(QUICK_S, tell)
    task.add_done_callback(tell)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(tell)
    return task.done()


class EventsAnswer:
    """Answers with the events a listener hears. `on_leave` is called when the reader goes away before the end."""

    def __init__(
        self, listener: Listener, headers: Mapping[str, str], on_leave: Callable[[], None] | None = None
    ) -> None:
        self._listener = listener
        self._headers = {**sse.HEADERS, **headers}
        self._on_leave = on_leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(_start(self._headers))
        sender = asyncio.ensure_future(_send_events(self._listener, send))
        left = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sender, left}, return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                sender.result()
                await send(_part(b"", more=False))
            elif self._on_leave is not None:
                self._on_leave()
        finally:
            sender.cancel()
            left.cancel()


async def _send_events(listener: Listener, send: Send) -> None:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                frame = await listener.next()
        except TimeoutError:
            frame = sse.HEARTBEAT
        if frame is None:
            return
        await send(_part(frame, more=True))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(headers: Mapping[str, str]) -> Message:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
