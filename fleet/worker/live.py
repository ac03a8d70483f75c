"""The runs of this process while they run: who listens, how to stop one, what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from fleet.sdk.propagation import Carried
from fleet.worker import sse
from fleet.worker.encode import dumps
from fleet.worker.errors import busy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.worker.compile import CompiledGraph
    from fleet.worker.payload import RunPayload

CancelAction = Literal["interrupt", "rollback"]
#: Long enough for a graph to clean up after the first.
CANCEL_AGAIN_S = 5.0
_MOST_PENDING_BYTES = 16 * 1024 * 1024


class CallFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller's and dispatcher's headers say of a run; all optional."""

    carried: Carried = Carried()
    metadata: dict[str, Any] = {}
    configurable: dict[str, str] = {}


class Left(msgspec.Struct, frozen=True):
    """How a run leaves its thread; `values` None leaves them as they are."""

    values: Any
    interrupts: dict[str, Any] = {}
    waits: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `body` is what `wait` and `join` answer."""

    status: Literal["success", "error", "interrupted", "timeout"]
    body: bytes
    error: dict[str, str] | None = None
    state: dict[str, Any] | None = None
    #: None when only the checkpoint can tell.
    left: Left | None = None


class Listener:
    """One reader of a run's events. It is dropped when it lags too far behind, the run goes on."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._pending = 0
        self._dropped = False

    def push(self, frame: bytes | None) -> None:
        if self._dropped:
            return
        self._pending += len(frame or b"")
        if self._pending > _MOST_PENDING_BYTES:
            self._dropped = True
            problem = {"error": "SlowConsumer", "message": "the reader lagged too far behind"}
            self._frames.put_nowait(sse.frame("error", dumps(problem)))
            frame = None
        self._frames.put_nowait(frame)

    async def next(self) -> bytes | None:
        """Return the next frame, None at the end."""
        frame = await self._frames.get()
        self._pending -= len(frame or b"")
        return frame


@dataclass(kw_only=True, eq=False)
class LiveRun:
    """One accepted run of this process."""

    run_id: str
    thread_id: str
    entry: CompiledGraph
    payload: RunPayload
    facts: CallFacts
    threaded: bool
    streams: bool
    attempt: int = 1
    #: A job runs it, and would run it again.
    background: bool = False
    task: asyncio.Task[Outcome] | None = None
    cancel_action: CancelAction | None = None
    #: It ran for as long as it may.
    overdue: bool = False
    #: The graph was left for either; what is left to do is to record that.
    cancel_heard: bool = False
    listeners: list[Listener] = field(default_factory=list)
    #: The events of a resumable stream.
    kept: list[bytes] = field(default_factory=list)
    _events: int = 0
    _ended: bool = False

    def emit(self, event: str, data: Any) -> None:
        """Send one event to every listener; a resumable stream is kept for those who come later."""
        self._events += 1
        event_id = str(self._events) if self.payload.stream_resumable else ""
        frame = sse.frame(event, data if isinstance(data, bytes) else dumps(data), event_id)
        if self.payload.stream_resumable:
            self.kept.append(frame)
        for listener in self.listeners:
            listener.push(frame)

    def listen(self, after: int = 0) -> Listener:
        """Return a reader of the events to come, and of the kept ones past number `after`."""
        listener = Listener()
        for frame in self.kept[after:]:
            listener.push(frame)
        if self._ended:
            listener.push(None)
        else:
            self.listeners.append(listener)
        return listener

    def end(self) -> None:
        self._ended = True
        for listener in self.listeners:
            listener.push(None)
        self.listeners.clear()

    def cancel(self, action: CancelAction = "interrupt") -> None:
        """Ask the run to stop; `task` ends with an `interrupted` outcome."""
        if self.task is not None and not self.task.done() and self.cancel_action is None:
            self.cancel_action = action
            # Not before its first step: a task cancelled until then ends without having run, and nothing records it.
            asyncio.get_running_loop().call_soon(self._interrupt)

    def time_out(self) -> None:
        """Stop the run; `task` ends with a `timeout` outcome."""
        self.overdue = True
        self._interrupt()

    def _interrupt(self) -> None:
        """Cancel the task, again until it was heard: what the graph awaits may swallow one, as `asyncio.wait_for`
        does in Python 3.11 when its own end comes in the same turn of the loop."""
        if not self.cancel_heard and not self.started.done():
            self.started.cancel()
            asyncio.get_running_loop().call_later(CANCEL_AGAIN_S, self._interrupt)

    @property
    def started(self) -> asyncio.Task[Outcome]:
        """The task that runs the graph; never cancel it, `cancel` the run."""
        if self.task is None:
            raise RuntimeError("the run was not started")
        return self.task


class LiveRuns:
    """Every unfinished run of this process, bounded."""

    def __init__(self, running: int, waiting: int) -> None:
        self.slots = asyncio.Semaphore(running)
        self._most = running + waiting
        self._runs: dict[str, LiveRun] = {}
        self._expected: dict[str, list[Listener]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(tuple(self._runs.values()))

    def find(self, run_id: str, thread_id: str | None = None) -> LiveRun | None:
        run = self._runs.get(run_id)
        return run if run is not None and thread_id in (None, run.thread_id) else None

    def check_room(self) -> None:
        """Refuse with 429 when the process holds as many runs as it may."""
        if len(self._runs) >= self._most:
            raise busy("This pool runs as many graphs as it may; try again.")

    def add(self, run: LiveRun) -> None:
        self._runs[run.run_id] = run
        run.listeners += self._expected.pop(run.run_id, ())

    def expect(self, run_id: str) -> Listener:
        """Return a reader of all events of a run that waits in the queue, should it come to this process."""
        listener = Listener()
        self._expected.setdefault(run_id, []).append(listener)
        return listener

    def tell_expecting(self, run_id: str, frame: bytes) -> None:
        """The run ended without having begun here: `frame` is all that its readers hear of it."""
        for listener in self._expected.pop(run_id, ()):
            listener.push(frame)
            listener.push(None)

    def remove(self, run: LiveRun) -> None:
        self._runs.pop(run.run_id, None)
        run.end()

    async def stop(self) -> None:
        """Cancel what still runs and wait for its end."""
        tasks = [run.task for run in self if run.task is not None]
        for run in self:
            run.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
