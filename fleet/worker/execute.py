"""Run one graph: config and metadata in, events and an outcome out. Knows no HTTP and no database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from fleet.sdk.tracing import graph_run
from fleet.worker.encode import RunCancelled, dumps, error_of
from fleet.worker.errors import NoDatabase
from fleet.worker.live import Left, LiveRun, Outcome
from fleet.worker.messages import MessageEvents
from fleet.worker.state import interrupt_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

log = logging.getLogger("fleet.worker")


async def execute(
    run: LiveRun, graph: Any, *, pool: str, slots: asyncio.Semaphore, seconds: float, resume: bool = False
) -> Outcome:
    """Run `graph` for `run` once a slot is free; emit its events; never raises for what the graph does.

    A background run raises NoDatabase when its checkpoints cannot be reached. It may run for `seconds`. With `resume` the graph goes on from its checkpoint instead of taking the input.
    """
    try:
        async with slots:
            limit = asyncio.get_running_loop().call_later(seconds, run.time_out)
            try:
                config = _config(run, pool)
                with graph_run(config, run.facts.carried):
                    return await _drive(run, graph, config, resume)
            finally:
                limit.cancel()
    except asyncio.CancelledError:
        if run.cancel_action is None and not run.overdue:
            raise
        run.cancel_heard = True
        if run.cancel_action is None:
            return _overdue(run, seconds)
        problem = error_of(RunCancelled(f"the run was cancelled ({run.cancel_action})"))
        return _failed(run, "interrupted", problem)
    except NoDatabase as away:  # by the database of its checkpoints; no fault of the graph
        if run.background:
            raise
        return _failed(run, "error", {"error": "BackendError", "message": away.detail, "kind": "backend"})
    except Exception as error:
        if run.overdue:
            return _overdue(run, seconds)
        log.warning("run %s of %s failed", run.run_id, run.entry.assistant_id, exc_info=error)
        return _failed(run, "error", error_of(error))


def _overdue(run: LiveRun, seconds: float) -> Outcome:
    problem = {"error": "TimeoutError", "message": f"the run exceeded {seconds:g} s", "kind": "timeout"}
    return _failed(run, "timeout", problem)


def _failed(run: LiveRun, status: Any, problem: dict[str, str]) -> Outcome:
    if run.streams:
        run.emit("error", problem)
    return Outcome(status=status, body=dumps({"__error__": problem}), error=problem)


async def _drive(run: LiveRun, graph: Any, config: dict[str, Any], resume: bool) -> Outcome:
    options = _options(run)
    source = None if resume else _source(run)
    if not run.streams and not _checkpointed(run):
        values = await graph.ainvoke(source, config, **options)
        return _succeeded(values)
    if run.streams:
        run.emit("metadata", {"run_id": run.run_id, "attempt": run.attempt})
    last: Any = None
    checkpoint: dict[str, Any] = {}
    interrupts: list[Any] = []
    async with aclosing(_events(run, graph, source, config, options)) as events:
        async for event, data in events:
            if event == "\0values":
                last = data
            elif event == "\0interrupt":
                interrupts.extend(data)
            elif event == "\0checkpoint":
                checkpoint = data
            else:
                run.emit(event, data)
    left = _left(checkpoint, interrupts) if checkpoint else None
    if interrupts:
        return _succeeded({**(last if isinstance(last, dict) else {}), "__interrupt__": interrupts}, left)
    return _succeeded({} if last is None else last, left)


def _left(checkpoint: dict[str, Any], interrupts: list[Any]) -> Left | None:
    """What the newest checkpoint and the interrupts after it tell. Of several tasks some may have ended: ask the saver."""
    match checkpoint["tasks"]:
        case []:
            return Left(checkpoint["values"])
        case [task] if interrupts:
            waiting = {task["id"]: [interrupt_json(each) for each in interrupts]}
            return Left(checkpoint["values"], waiting, waits=True)
    return None


def _succeeded(values: Any, left: Left | None = None) -> Outcome:
    state = values if isinstance(values, dict) else {}
    return Outcome(status="success", body=dumps(values), state=state, left=left)


def _checkpointed(run: LiveRun) -> bool:
    return run.threaded and run.entry.spec.resumable


async def _events(
    run: LiveRun, graph: Any, source: Any, config: dict[str, Any], options: dict[str, Any]
) -> AsyncGenerator[tuple[str, Any]]:
    """Yield the run's public events, and `\\0values`, `\\0interrupt`, `\\0checkpoint` for the bookkeeping."""
    wanted = set(run.payload.stream_mode) if run.streams else set()
    own = {"values", "updates", "checkpoints"} if _checkpointed(run) else {"values", "updates"}
    modes = list((wanted - {"events", "messages-tuple"}) | own)
    if "messages-tuple" in wanted and "messages" not in modes:
        modes.append("messages")
    messages = MessageEvents(tuples="messages-tuple" in wanted)
    options = {**options, "stream_mode": modes, "subgraphs": run.payload.stream_subgraphs}
    if "events" in wanted:
        chunks = _chunks_of_events(graph, run.run_id, source, config, options)
    else:
        chunks = graph.astream(source, config, **options)
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, dict):
                yield "events", chunk
                continue
            mode, data = chunk[-2:]
            namespace = chunk[0] if run.payload.stream_subgraphs else ()
            suffix = "|" + "|".join(namespace) if namespace else ""
            for event in _public(mode, data, suffix, wanted, messages):
                yield event


def _public(
    mode: str, data: Any, suffix: str, wanted: set[str], messages: MessageEvents
) -> list[tuple[str, Any]]:
    """Return the events one chunk becomes. Interrupts always reach the reader, as `updates` or `values`."""
    events: list[tuple[str, Any]] = []
    if mode == "values" and not suffix:
        events.append(("\0values", data))
    if mode == "checkpoints" and not suffix:
        events.append(("\0checkpoint", data))
    interrupt = mode == "updates" and isinstance(data, dict) and data.get("__interrupt__")
    if interrupt and not suffix:
        events.append(("\0interrupt", interrupt))
    if mode == "messages":
        return events + [(name + suffix, value) for name, value in messages.of(data)]
    if mode in wanted:
        events.append((mode + suffix, data))
    elif interrupt:
        events.append(("values" + suffix, data))
    return events


async def _chunks_of_events(
    graph: Any, run_id: str, source: Any, config: dict[str, Any], options: dict[str, Any]
) -> AsyncGenerator[Any]:
    """Yield stream chunks as tuples and every other event of the run as the dict it is."""
    async with aclosing(graph.astream_events(source, config, version="v2", **options)) as events:
        async for event in events:
            if "langsmith:hidden" in event.get("tags", ()):
                continue
            if event["event"] == "on_chain_stream" and event["run_id"] == run_id:
                yield event["data"]["chunk"]
            yield event


def _source(run: LiveRun) -> Any:
    command = run.payload.command
    if command is None:
        return run.payload.input
    from langgraph.types import Command, Send

    goto = command.get("goto")
    steps = goto if isinstance(goto, list) else [goto] if goto is not None else []
    return Command(
        update=_update(command.get("update")),
        resume=command.get("resume"),
        goto=[step if isinstance(step, str) else Send(step["node"], step.get("input")) for step in steps],
    )


def _update(update: Any) -> Any:
    """JSON has no tuples: pairs of (key, value) come as lists of two."""
    if isinstance(update, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in update):
        return [tuple(pair) for pair in update]
    return update


def _options(run: LiveRun) -> dict[str, Any]:
    payload = run.payload
    options: dict[str, Any] = {}
    if payload.context is not None:
        options["context"] = payload.context
    if payload.interrupt_before is not None:
        options["interrupt_before"] = payload.interrupt_before
    if payload.interrupt_after is not None:
        options["interrupt_after"] = payload.interrupt_after
    if _checkpointed(run):
        options["durability"] = payload.durability
    return options


def _config(run: LiveRun, pool: str) -> dict[str, Any]:
    payload, entry = run.payload, run.entry
    own: dict[str, Any] = {"run_id": run.run_id, "assistant_id": entry.uuid, "graph_id": entry.assistant_id}
    metadata: dict[str, Any] = {
        **payload.metadata,
        **own,
        **run.facts.metadata,
        "langgraph.assistant_id": entry.assistant_id,
        "agentic.pool": pool,
        "agentic.graph_digest": entry.digest,
        "run_attempt": run.attempt,
    }
    configurable = {**payload.configurable, **run.facts.configurable, **own}
    if run.facts.carried.request_id:
        configurable["langgraph_request_id"] = run.facts.carried.request_id
    if run.threaded:
        metadata["thread_id"] = run.thread_id
        configurable |= {"thread_id": run.thread_id, "checkpoint_ns": "", **payload.checkpoint}
    config: dict[str, Any] = {
        "metadata": metadata,
        "configurable": configurable,
        "run_name": entry.assistant_id,
    }
    if run.attempt == 1:  # a second attempt is a second LangSmith run
        config["run_id"] = run.run_id
    if payload.tags:
        config["tags"] = list(payload.tags)
    if payload.recursion_limit:
        config["recursion_limit"] = payload.recursion_limit
    return config
