"""One timer for all requests under way: a timer for each deadline of each would cost more than to route it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routing_app.dispatcher.call import Call

#: Far enough away never to come.
NEVER = float("inf")


class Rounds:
    """Tells every call under way what time it is, `EVERY_S` after the last time, for as long as there are any."""

    EVERY_S = 0.05

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def enter(self, call: Call) -> None:
        self._calls.add(call)
        if self._timer is None:
            self._next()

    def leave(self, call: Call) -> None:
        self._calls.discard(call)

    def _next(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.EVERY_S, self._go_round)

    def _go_round(self) -> None:
        now = time.monotonic()
        for call in tuple(self._calls):
            call.look_at(now)
        self._timer = None
        if self._calls:
            self._next()
