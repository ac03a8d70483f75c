"""Notices a blocked event loop: a short block is logged and counted, a long one ends the process.

The long limit is kept by `faulthandler`, which needs no Python thread and prints every stack before it exits;
the supervisor starts the worker again.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import time

log = logging.getLogger("fleet.worker")
_TICK_S = 0.5
_LAG_S = 1.0
_REARM_S = 10.0  # arming costs milliseconds


class LoopWatchdog:
    """Ticks on the loop it watches. `blocks` counts lags above a second, `longest` is the worst, in seconds."""

    def __init__(self, exit_after: float) -> None:
        self._exit_after = exit_after
        self.blocks = 0
        self.longest = 0.0

    async def watch(self) -> None:
        """Tick until cancelled."""
        try:
            armed = 0.0
            while True:
                now = time.monotonic()
                if now - armed > _REARM_S or not armed:
                    faulthandler.dump_traceback_later(self._exit_after + _REARM_S, exit=True)
                    armed = now
                await asyncio.sleep(_TICK_S)
                self._note(time.monotonic() - now - _TICK_S)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _note(self, lag: float) -> None:
        if lag < _LAG_S:
            return
        self.blocks += 1
        self.longest = max(self.longest, lag)
        log.error("the event loop was blocked for %.1f s: a graph runs blocking code in a coroutine", lag)
