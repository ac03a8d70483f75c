"""What stateless runs of this process left, for a minute: a caller whose connection broke asks again at `Location`."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from fleet.worker.live import Listener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.worker.live import LiveRun, Outcome

KEPT_S = 60.0
_MOST_RUNS, _MOST_BYTES = 256, 8 * 1024 * 1024


class EndedRun(msgspec.Struct, frozen=True):
    """How a stateless run ended. Its input is not kept."""

    run_id: str
    thread_id: str
    assistant_uuid: str
    multitask_strategy: str
    outcome: Outcome
    frames: Sequence[bytes]
    """The events of a resumable stream, none of another."""
    size: int
    ended_at: float

    def told(self) -> asyncio.Future[Outcome]:
        """The outcome as `WaitAnswer` takes it."""
        told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        told.set_result(self.outcome)
        return told

    def listen(self, after: int = 0) -> Listener:
        """Return a reader of the kept events past number `after`."""
        listener = Listener()
        for frame in self.frames[after:]:
            listener.push(frame)
        listener.push(None)
        return listener


class EndedRuns:
    """The last runs that ended, bounded in number, bytes and time."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, EndedRun] = OrderedDict()
        self._bytes = 0

    def add(self, run: LiveRun, outcome: Outcome) -> None:
        size = len(outcome.body) + sum(map(len, run.kept))
        if size > _MOST_BYTES:
            return
        now = time.time()
        self._runs[run.run_id] = EndedRun(
            run.run_id, run.thread_id, run.entry.uuid, run.payload.multitask_strategy, outcome, run.kept, size, now
        )  # fmt: skip
        self._bytes += size
        self._drop(now)

    def find(self, run_id: str, thread_id: str | None = None) -> EndedRun | None:
        self._drop(time.time())
        run = self._runs.get(run_id)
        return run if run is not None and thread_id in (None, run.thread_id) else None

    def _drop(self, now: float) -> None:
        runs = self._runs
        while runs:
            oldest = next(iter(runs.values()))
            if len(runs) <= _MOST_RUNS and self._bytes <= _MOST_BYTES and oldest.ended_at > now - KEPT_S:
                return
            del runs[oldest.run_id]
            self._bytes -= oldest.size
