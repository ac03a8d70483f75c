"""What one worker process holds while it serves, and how a run starts in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleet.worker.ended import EndedRuns
from fleet.worker.errors import NoDatabase, Refused
from fleet.worker.execute import execute
from fleet.worker.ids import new_id
from fleet.worker.live import CallFacts, LiveRun, LiveRuns, Outcome

if TYPE_CHECKING:
    from fleet.worker.compile import Catalogue, CompiledGraph
    from fleet.worker.config import WorkerConfig
    from fleet.worker.jobs import JobQueue
    from fleet.worker.payload import RunPayload
    from fleet.worker.refused import RefusedCalls
    from fleet.worker.threaded import ThreadedRuns
    from fleet.worker.watchdog import LoopWatchdog


@dataclass(kw_only=True)
class Service:
    """The state of one worker process."""

    config: WorkerConfig
    catalogue: Catalogue
    live: LiveRuns
    watchdog: LoopWatchdog
    refused: RefusedCalls
    compile_ms: float
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _threaded: ThreadedRuns | None = None
    _jobs_queue: JobQueue | None = None
    _kept: set[asyncio.Future[Any]] = field(default_factory=set)
    finished: dict[str, int] = field(default_factory=dict)
    ended: EndedRuns = field(default_factory=EndedRuns)

    def attach(self, threaded: ThreadedRuns, jobs_queue: JobQueue) -> None:
        """Add what needs a database."""
        self._threaded, self._jobs_queue = threaded, jobs_queue

    @property
    def threaded(self) -> ThreadedRuns:
        """The runs of threads; refused with 503 in a worker without a database."""
        if self._threaded is None:
            raise NoDatabase("Threads and background runs need DATABASE_URL, which is not set.")
        return self._threaded

    @property
    def jobs_queue(self) -> JobQueue:
        if self._jobs_queue is None:
            raise NoDatabase("Threads and background runs need DATABASE_URL, which is not set.")
        return self._jobs_queue

    def keep(self, task: asyncio.Future[Any]) -> None:
        """Hold a task nobody waits for until it ends."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    def report(self) -> dict[str, Any]:
        """Return how this process is doing, for `/_ml/health`."""
        return {
            "pool": self.config.pool,
            "graphs": self.catalogue.report(),
            "runs": {"unfinished": len(self.live), "finished": self.finished},
            "event_loop": {
                "blocks": self.watchdog.blocks,
                "longest_block_s": round(self.watchdog.longest, 3),
            },
            "compile_ms": round(self.compile_ms, 1),
            "refused_calls": self.refused.report(),
        }

    def graph_for(self, assistant_id: str) -> CompiledGraph:
        """Return the graph a run names.

        Raises:
            Refused: 404 for another pool's graph or an unknown assistant UUID, 422 for an unknown name,
                503 for one that did not compile.
        """
        entry = self.catalogue.find(assistant_id)
        if entry is not None:
            return entry
        failure = self.catalogue.failure(assistant_id)
        if failure is not None:
            raise Refused(503, f"Assistant '{failure.spec.assistant_id}' did not compile: {failure.error}")
        if self.catalogue.is_elsewhere(assistant_id) or _looks_like_uuid(assistant_id):
            raise Refused(404, "Thread or assistant not found.")
        known = ", ".join(entry.assistant_id for entry in self.catalogue.compiled)
        raise Refused(
            422,
            f"Invalid assistant: '{assistant_id}'. Must be either:\n"
            f"- A valid assistant UUID, or\n- One of the registered graphs: {known}",
        )

    def start_stateless(self, payload: RunPayload, facts: CallFacts, *, streams: bool) -> LiveRun:
        """Accept and start a run that keeps nothing.

        Raises:
            Refused: The graph is unknown, the process is full, or the run resumes nothing (400).
        """
        entry = self.graph_for(payload.assistant_id)
        if payload.command is not None and payload.command.get("resume") is not None:
            raise Refused(400, "You must provide a thread_id when resuming.")
        self.live.check_room()
        run = LiveRun(
            run_id=new_id(),
            thread_id=new_id(),
            entry=entry,
            payload=payload,
            facts=facts,
            threaded=False,
            streams=streams,
        )
        self.live.add(run)
        run.task = asyncio.create_task(self._run_stateless(run))
        return run

    async def _run_stateless(self, run: LiveRun) -> Outcome:
        try:
            outcome = await self.run_graph(run, run.entry.graph)
            self.ended.add(run, outcome)
            return outcome
        finally:
            self.live.remove(run)

    async def run_graph(self, run: LiveRun, graph: Any, *, resume: bool = False) -> Outcome:
        """Run `graph` for `run` within this worker's limits, and count how it ended."""
        config = self.config
        outcome = await execute(
            run, graph, pool=config.pool, slots=self.live.slots, seconds=config.run_timeout, resume=resume
        )
        self.finished[outcome.status] = self.finished.get(outcome.status, 0) + 1
        return outcome


def _looks_like_uuid(text: str) -> bool:
    return len(text) in (32, 36) and set(text.lower()) <= set("0123456789abcdef-")
