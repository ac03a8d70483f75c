"""A deadline for the running task: `asyncio.timeout` at a third of its price, for use on every request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Deadline:
    """`with Deadline(seconds):` raises TimeoutError inside out when the block takes longer. Used once."""

    __slots__ = ("_expired", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._expired = False
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._expired or self._task is None:
            return
        cancels_left = self._task.uncancel()
        if kind is asyncio.CancelledError and not cancels_left:
            raise TimeoutError from error
