"""Runs on threads: accepted into the store, run in turn, recorded once, resumable where the graph is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from fleet.sdk.propagation import Carried
from fleet.worker.encode import RunCancelled, dumps, error_of
from fleet.worker.errors import NoDatabase, Refused
from fleet.worker.ids import new_id
from fleet.worker.live import CallFacts, Left, LiveRun, Outcome
from fleet.worker.payload import parse_run
from fleet.worker.state import open_interrupts, thread_config
from fleet.worker.store import as_json

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot
    from psycopg.rows import DictRow

    from fleet.worker.compile import CompiledGraph
    from fleet.worker.database import Connection
    from fleet.worker.payload import RunPayload
    from fleet.worker.service import Service
    from fleet.worker.store import Store

log = logging.getLogger("fleet.worker")
_TURN_S = 0.1
_POLL_S = 0.25
#: A run that takes its process down with it must not do so for ever.
_MOST_ATTEMPTS = 20
_UNFINISHED = ("pending", "running")


class Handover(Exception):
    """This process stops; the background run goes back to the queue for another."""


class ThreadedRuns:
    """Starts, follows, cancels and records the runs of threads."""

    def __init__(self, service: Service, store: Store) -> None:
        self.service = service
        self.store = store

    def saver(self) -> AsyncPostgresSaver:
        # One a run: a saver serialises its own calls, and costs nothing to make.
        return AsyncPostgresSaver(self.store.database.connections)

    def graph(self, entry: CompiledGraph) -> Any:
        """Return the graph of `entry` for a thread: checkpointed when it is resumable."""
        return (
            entry.graph.copy(update={"checkpointer": self.saver()}) if entry.spec.resumable else entry.graph
        )

    # ── start ──

    async def start(
        self, thread_id: str, payload: RunPayload, raw: dict[str, Any], facts: CallFacts, *, streams: bool
    ) -> LiveRun:
        """Accept a run of a thread in this process; its task waits for the thread's turn.

        Raises:
            Refused: The graph, the thread or the strategy does not allow it.
        """
        entry = await self._admit(thread_id, payload)
        run_id = new_id()
        async with self.store.database.connect() as connection:
            row = await self._accept(
                connection, entry, thread_id, run_id, payload, raw, facts, background=False
            )
        run = self._live(row, entry, payload, facts, streams=streams)
        self.service.live.add(run)
        run.task = asyncio.create_task(self._run(run, payload.after_seconds))
        return run

    async def enqueue(
        self,
        thread_id: str,
        payload: RunPayload,
        raw: dict[str, Any],
        facts: CallFacts,
        *,
        temporary: bool = False,
    ) -> DictRow:
        """Accept a background run: its row and its job are written together."""
        entry = await self._admit(thread_id, payload)
        run_id = new_id()
        async with self.store.database.connect() as connection, connection.transaction():
            row = await self._accept(
                connection,
                entry,
                thread_id,
                run_id,
                payload,
                raw,
                facts,
                background=True,
                temporary=temporary,
            )
            await self.service.jobs_queue.defer(connection, run_id, thread_id, payload.after_seconds)
        return row

    async def _admit(self, thread_id: str, payload: RunPayload) -> CompiledGraph:
        entry = self.service.graph_for(payload.assistant_id)
        self.service.live.check_room()
        if payload.command is not None and not entry.spec.resumable:
            raise Refused(
                409, f"{entry.assistant_id} keeps no checkpoints: its runs cannot be resumed or commanded."
            )
        if payload.multitask_strategy in ("interrupt", "rollback"):
            for row in await self.store.unfinished(thread_id):
                await self.cancel(
                    row, "rollback" if payload.multitask_strategy == "rollback" else "interrupt"
                )
        return entry

    async def _accept(
        self,
        connection: Connection,
        entry: CompiledGraph,
        thread_id: str,
        run_id: str,
        payload: RunPayload,
        raw: dict[str, Any],
        facts: CallFacts,
        *,
        background: bool,
        temporary: bool = False,
    ) -> DictRow:
        return await self.store.accept(
            connection,
            {
                "run_id": run_id,
                "thread_id": thread_id,
                "graph_id": entry.assistant_id,
                "graph_metadata": as_json({"graph_id": entry.assistant_id, "assistant_id": entry.uuid}),
                "create": payload.if_not_exists == "create",
                "strategy": payload.multitask_strategy,
                "metadata": as_json(payload.metadata),
                "kwargs": as_json(raw),
                "facts": as_json(_facts_json(facts)),
                "background": background,
                "temporary": temporary,
            },
        )

    def _live(
        self, row: DictRow, entry: CompiledGraph, payload: RunPayload, facts: CallFacts, *, streams: bool
    ) -> LiveRun:
        return LiveRun(
            run_id=str(row["run_id"]),
            thread_id=str(row["thread_id"]),
            entry=entry,
            payload=payload,
            facts=facts,
            threaded=True,
            streams=streams,
            attempt=row["attempt"],
            background=row["background"],
        )

    # ── run ──

    async def _run(self, run: LiveRun, delay: float) -> Outcome:
        try:
            await asyncio.sleep(delay)
            if run.attempt == 0:
                await self._turn(run)
            return await self.perform(run)
        except asyncio.CancelledError:
            if run.cancel_action is None:
                raise
            run.cancel_heard = True
            return await self._record(run, _cancelled(run))
        finally:
            self.service.live.remove(run)

    async def _turn(self, run: LiveRun) -> None:
        """Wait until every earlier run of the thread ended."""
        while (row := await self.store.claim(run.run_id)) is None:  # noqa: ASYNC110 - another process may end it
            await asyncio.sleep(_TURN_S)
        run.attempt = row["attempt"]

    async def perform(self, run: LiveRun) -> Outcome:
        """Run the graph and record the outcome. A later attempt goes on from what the first one left."""
        graph = self.graph(run.entry)
        left = await self._left_behind(run, graph) if run.attempt > 1 else None
        if left is not None and not left.next:
            outcome = Outcome(status="success", body=dumps(left.values), state=left.values)
        else:
            outcome = await self.service.run_graph(run, graph, resume=left is not None)
        return await self._record(run, outcome)

    async def _left_behind(self, run: LiveRun, graph: Any) -> StateSnapshot | None:
        """Return the checkpoint an earlier attempt of this run wrote, or None."""
        if not run.entry.spec.resumable:
            return None
        snapshot: StateSnapshot = await graph.aget_state(thread_config(run.thread_id))
        return snapshot if (snapshot.metadata or {}).get("run_id") == run.run_id else None

    async def _record(self, run: LiveRun, outcome: Outcome) -> Outcome:
        """Commit how the run ended before anyone is told. What cannot be committed is a failure, or the job's to repeat."""
        for delay in (0.2, 1.0, 3.0, None):
            try:
                await self._commit(run, outcome)
                return outcome
            except (Refused, psycopg.Error):
                if delay is None:
                    log.exception("run %s ended (%s) and could not be recorded", run.run_id, outcome.status)
                    if run.background:
                        raise
                    break
                await asyncio.sleep(delay)
        problem = {"error": "BackendError", "message": "the outcome could not be recorded", "kind": "backend"}
        return Outcome(status="error", body=dumps({"__error__": problem}), error=problem)

    async def _commit(self, run: LiveRun, outcome: Outcome) -> None:
        if run.cancel_action == "rollback":
            await self.store.forget_run(run.thread_id, run.run_id)
        left = await self._after(run, outcome)
        failed = outcome.status in ("error", "timeout")
        thread_status = "error" if failed else "interrupted" if left.waits else "idle"
        if run.cancel_action == "rollback":
            busy = bool(await self.store.unfinished(run.thread_id))
            await self.store.set_values(
                run.thread_id, left.values or {}, "busy" if busy else thread_status, left.interrupts
            )
            return
        await self.store.finish(
            run.run_id,
            run.attempt,
            status=outcome.status,
            result=outcome.body,
            thread_status=thread_status,
            values=left.values,
            interrupts=left.interrupts,
            error=outcome.error if failed else None,
        )

    async def _after(self, run: LiveRun, outcome: Outcome) -> Left:
        if not run.entry.spec.resumable:
            return Left(outcome.state if outcome.status == "success" else None)
        if outcome.left is not None and run.cancel_action is None:
            return outcome.left
        snapshot = await self.graph(run.entry).aget_state(thread_config(run.thread_id))
        return Left(snapshot.values, open_interrupts(snapshot), bool(snapshot.next))

    # ── background ──

    async def run_background(self, run_id: str) -> None:
        """Run what a job names, when its turn comes; nothing when it ended meanwhile.

        Raises:
            Handover: The process stops; the run is pending again.
            NoDatabase: It went away; the run is taken up again once its lease ran out.
        """
        row = await self._claim_background(run_id)
        if row is None:
            return
        try:
            entry, payload = self._readmit(row)
        except Refused as refused:
            await self._end_refused(row, refused)
            return
        run = self._live(row, entry, payload, _facts(row["facts"]), streams=True)
        self.service.live.add(run)
        run.task = asyncio.create_task(self._run(run, 0.0))
        try:
            await asyncio.shield(run.task)
        except asyncio.CancelledError:
            run.task.cancel()
            await asyncio.wait({run.task})
            await self.store.hand_over(run_id, run.attempt)
            raise Handover from None

    def _readmit(self, row: DictRow) -> tuple[CompiledGraph, RunPayload]:
        """The graph and payload of an accepted run; raises Refused when another version of the worker accepted it."""
        if row["attempt"] > _MOST_ATTEMPTS:
            raise Refused(
                500, f"the run was begun {_MOST_ATTEMPTS} times, and each time its process was lost"
            )
        return self.service.graph_for(row["graph_id"]), parse_run(row["kwargs"])

    async def _end_refused(self, row: DictRow, refused: Refused) -> None:
        problem = {"error": "Refused", "message": refused.detail}
        await self.store.finish(
            str(row["run_id"]),
            row["attempt"],
            status="error",
            result=dumps({"__error__": problem}),
            thread_status="error",
            values=None,
            interrupts={},
            error=problem,
        )

    async def _claim_background(self, run_id: str) -> DictRow | None:
        while (row := await self.store.claim(run_id)) is None:
            found = await self.store.find_run(run_id)
            if found is None or found["status"] not in _UNFINISHED:
                return None
            await asyncio.sleep(_POLL_S)
        return row

    # ── follow and stop ──

    async def join(self, thread_id: str, run_id: str) -> Outcome:
        """Wait for the end of a run, wherever it runs."""
        live = self.service.live.find(run_id, thread_id)
        if live is not None and live.task is not None:
            with contextlib.suppress(NoDatabase):  # its job will repeat it
                return await asyncio.shield(live.task)
        while (row := await self._seen(thread_id, run_id)) is None or row["status"] in _UNFINISHED:  # noqa: ASYNC110 - another process may end it
            await asyncio.sleep(_POLL_S)
        return Outcome(status=row["status"], body=dumps(row["result"] if row["result"] is not None else {}))

    async def _seen(self, thread_id: str, run_id: str) -> dict[str, Any] | None:
        """The run as it is now, None while the database is away; one that was deleted meanwhile has failed."""
        try:
            return await self.store.run(thread_id, run_id)
        except Refused as refused:
            if refused.status != 404:
                return None
            problem = {"error": "RunDeleted", "message": "the run was deleted while it was awaited"}
            return {"status": "error", "result": {"__error__": problem}}

    async def cancel(self, row: DictRow, action: Literal["interrupt", "rollback"]) -> None:
        """Stop an unfinished run and wait until it is recorded as such."""
        run_id, thread_id = str(row["run_id"]), str(row["thread_id"])
        live = self.service.live.find(run_id)
        if live is not None and live.task is not None:
            live.cancel(action)
            await asyncio.wait({live.task})
            return
        if row["status"] == "pending" and row["background"] and await self._end_waiting(row, action):
            return
        await self.store.ask_cancel(run_id, action)
        while (found := await self.store.find_run(run_id)) is not None and found["status"] in _UNFINISHED:  # noqa: ASYNC110 - another process may end it
            await asyncio.sleep(_POLL_S)
        log.info("run %s of thread %s was cancelled (%s)", run_id, thread_id, action)

    async def _end_waiting(self, row: DictRow, action: Literal["interrupt", "rollback"]) -> bool:
        """End a background run no process has taken yet; False when one just did."""
        problem = error_of(RunCancelled(f"the run was cancelled ({action})"))
        thread = await self.store.thread(str(row["thread_id"]))
        ended = await self.store.finish(
            str(row["run_id"]),
            row["attempt"],
            status="interrupted",
            result=dumps({"__error__": problem}),
            thread_status="interrupted" if thread["interrupts"] else "idle",
            values=None,
            interrupts=thread["interrupts"],
            error=None,
        )
        if ended and action == "rollback":
            await self.store.forget_run(str(row["thread_id"]), str(row["run_id"]))
        return ended


def _cancelled(run: LiveRun) -> Outcome:
    problem = error_of(RunCancelled(f"the run was cancelled ({run.cancel_action})"))
    return Outcome(status="interrupted", body=dumps({"__error__": problem}), error=problem)


def _facts_json(facts: CallFacts) -> dict[str, Any]:
    carried = facts.carried
    return {
        "carried": {
            "traceparent": carried.traceparent,
            "tracestate": carried.tracestate,
            "request_id": carried.request_id,
            "langsmith_trace": carried.langsmith_trace,
            "baggage": carried.baggage,
        },
        "metadata": facts.metadata,
        "configurable": facts.configurable,
    }


def _facts(stored: dict[str, Any]) -> CallFacts:
    return CallFacts(
        carried=Carried(**stored["carried"]), metadata=stored["metadata"], configurable=stored["configurable"]
    )
