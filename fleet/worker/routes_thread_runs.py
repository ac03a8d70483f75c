"""Runs on threads, background runs, and following or stopping a run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from starlette.responses import Response

from fleet.worker.answers import EventsAnswer, WaitAnswer
from fleet.worker.encode import dumps
from fleet.worker.errors import Refused
from fleet.worker.facts import read_facts
from fleet.worker.http import json_answer, read_body
from fleet.worker.ids import new_id
from fleet.worker.live import LiveRun
from fleet.worker.payload import RunPayload, load_json, load_object, parse_run, parse_uuid
from fleet.worker.routes_runs import attest, leaving
from fleet.worker.routes_threads import service_of, thread_id_of, threads_of
from fleet.worker.sse import frame

if TYPE_CHECKING:
    from psycopg.rows import DictRow
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from fleet.worker.ended import EndedRun
    from fleet.worker.service import Service

_MOST_BATCH = 100
_KEPT = (
    "input",
    "command",
    "config",
    "context",
    "metadata",
    "stream_mode",
    "stream_subgraphs",
    "stream_resumable",
)
_STATUSES = ("pending", "running", "success", "error", "interrupted", "timeout")


def run_id_of(request: Request) -> str:
    return parse_uuid(request.path_params["run_id"], "run ID")


async def _parsed(request: Request) -> tuple[RunPayload, dict[str, Any]]:
    raw = load_json(await read_body(request, service_of(request).config.max_body_bytes))
    return parse_run(raw), raw


async def wait(request: Request) -> ASGIApp:
    run, place = await _start(request, streams=False)
    headers = attest(service_of(request), run, f"{place}/join", place)
    return WaitAnswer(run.started, headers, leaving(run, "continue"))


async def stream(request: Request) -> ASGIApp:
    run, place = await _start(request, streams=True)
    headers = attest(service_of(request), run, f"{place}/stream", place)
    return EventsAnswer(run.listen(), headers, leaving(run, "continue"))


async def _start(request: Request, *, streams: bool) -> tuple[LiveRun, str]:
    thread_id = thread_id_of(request)
    payload, raw = await _parsed(request)
    run = await threads_of(request).start(
        thread_id, payload, raw, read_facts(request.scope["headers"]), streams=streams
    )
    return run, f"/threads/{thread_id}/runs/{run.run_id}"


async def create(request: Request) -> Response:
    thread_id = thread_id_of(request)
    payload, raw = await _parsed(request)
    row = await threads_of(request).enqueue(thread_id, payload, raw, read_facts(request.scope["headers"]))
    return json_answer(
        run_json(request, row), headers={"content-location": f"/threads/{thread_id}/runs/{row['run_id']}"}
    )


async def create_stateless(request: Request) -> Response:
    payload, raw = await _parsed(request)
    row = await _enqueue_stateless(request, payload, raw)
    return json_answer(run_json(request, row), headers={"content-location": f"/runs/{row['run_id']}"})


async def create_batch(request: Request) -> Response:
    raws = load_json(await read_body(request, service_of(request).config.max_body_bytes))
    if not isinstance(raws, list) or not 0 < len(raws) <= _MOST_BATCH:
        raise Refused(422, f"the request body must be a list of 1 to {_MOST_BATCH} runs")
    payloads = [parse_run(raw) for raw in raws]
    for payload in payloads:
        service_of(request).graph_for(payload.assistant_id)
    rows = [
        await _enqueue_stateless(request, payload, raw) for payload, raw in zip(payloads, raws, strict=True)
    ]
    return json_answer([run_json(request, row) for row in rows])


async def _enqueue_stateless(request: Request, payload: RunPayload, raw: dict[str, Any]) -> DictRow:
    if payload.command is not None and payload.command.get("resume") is not None:
        raise Refused(400, "You must provide a thread_id when resuming.")
    runs = threads_of(request)
    service_of(request).graph_for(payload.assistant_id)
    thread_id = new_id()
    await runs.store.create_thread(thread_id, {}, keep=False)
    return await runs.enqueue(
        thread_id,
        payload,
        raw,
        read_facts(request.scope["headers"]),
        temporary=payload.on_completion == "delete",
    )


async def list_runs(request: Request) -> Response:
    query = request.query_params
    status = query.get("status")
    if status is not None and status not in _STATUSES:
        raise Refused(422, f"status must be one of {', '.join(_STATUSES)}")
    runs, thread_id = threads_of(request), thread_id_of(request)
    await runs.store.thread(thread_id)
    limit, offset = (
        _number(query.get("limit"), "limit", 10, 1000),
        _number(query.get("offset"), "offset", 0, 10**9),
    )
    rows = await runs.store.list_runs(thread_id, status, limit, offset)
    return json_answer([run_json(request, row) for row in rows])


async def get(request: Request) -> Response:
    stateless = _stateless(request)
    if stateless is not None:
        return json_answer(_stateless_json(stateless))
    return json_answer(run_json(request, await _row(request)))


async def delete(request: Request) -> Response:
    await threads_of(request).store.delete_run(thread_id_of(request), run_id_of(request))
    return Response(status_code=204)


async def join(request: Request) -> ASGIApp:
    found = _here(request)
    if isinstance(found, LiveRun):
        leave = found.cancel if _cancels(request) else None
        return WaitAnswer(found.started, _places(found.thread_id, found.run_id, "join"), leave)
    if found is not None:
        return WaitAnswer(found.told(), _places(found.thread_id, found.run_id, "join"))
    thread_id, run_id = _ids(await _row(request))
    followed = asyncio.create_task(threads_of(request).join(thread_id, run_id))
    return WaitAnswer(followed, _places(thread_id, run_id, "join"))


async def join_stream(request: Request) -> ASGIApp:
    found = _here(request)
    if found is None:
        thread_id, run_id = _ids(await _row(request))
        found = _here(request)  # it may have begun while it was looked for
    if found is not None:
        last = request.headers.get("last-event-id", "")
        listener = found.listen(int(last) if last.isdigit() else 0)
        leave = found.cancel if isinstance(found, LiveRun) and _cancels(request) else None
        return EventsAnswer(listener, _places(found.thread_id, found.run_id, "stream"), leave)
    service = service_of(request)
    listener = service.live.expect(run_id)
    service.keep(asyncio.ensure_future(_tell_end(service, thread_id, run_id)))
    return EventsAnswer(listener, _places(thread_id, run_id, "stream"))


async def _tell_end(service: Service, thread_id: str, run_id: str) -> None:
    """Follow a run that waits, ended, or runs in another process: there its events stay, its end is known here."""
    outcome = await service.threaded.join(thread_id, run_id)
    failed = outcome.status in ("error", "timeout", "interrupted")
    problem = dumps(load_json(outcome.body).get("__error__", {})) if failed else outcome.body
    service.live.tell_expecting(run_id, frame("error" if failed else "values", problem))


async def cancel(request: Request) -> Response:
    thread_id, run_id = _thread_named(request), run_id_of(request)
    query = request.query_params
    action: Literal["interrupt", "rollback"] = (
        "rollback" if query.get("action") == "rollback" else "interrupt"
    )
    waits = query.get("wait", "").lower() in ("1", "true", "yes")
    live = service_of(request).live.find(run_id, thread_id)
    if live is not None and live.task is not None:
        live.cancel(action)
        done: asyncio.Future[Any] = live.task
        ran_on = live.thread_id
    else:
        row = await threads_of(request).store.find_run(run_id)
        if (
            row is None
            or thread_id not in (None, str(row["thread_id"]))
            or row["status"] not in ("pending", "running")
        ):
            raise Refused(404, "No runs found to cancel.")
        done = asyncio.ensure_future(threads_of(request).cancel(row, action))
        ran_on = str(row["thread_id"])
        service_of(request).keep(done)
    if not waits:
        return Response(status_code=202)
    await asyncio.wait({done})
    return json_answer({}, headers=_places(ran_on, run_id, "join"))


async def cancel_many(request: Request) -> Response:
    raw = load_object(await read_body(request, service_of(request).config.max_body_bytes))
    action: Literal["interrupt", "rollback"] = (
        "rollback" if request.query_params.get("action") == "rollback" else "interrupt"
    )
    status, thread_id, run_ids = raw.get("status"), raw.get("thread_id"), raw.get("run_ids")
    if status is not None and (thread_id is not None or run_ids is not None):
        raise Refused(422, "Cannot specify 'thread_id' or 'run_ids' when using 'status'")
    if status is None and (thread_id is None or not isinstance(run_ids, list)):
        raise Refused(422, "Must provide either a status or both 'thread_id' and 'run_ids'")
    if status is not None and status not in ("pending", "running", "all"):
        raise Refused(422, "status must be one of pending, running, all")
    thread = parse_uuid(thread_id, "thread ID") if thread_id is not None else None
    wanted = {parse_uuid(item, "run ID") for item in run_ids} if run_ids else None
    stopped = _cancel_live(request, action, thread, wanted) if status != "pending" else 0
    runs = threads_of(request)
    for row in await runs.store.unfinished(thread):
        if (wanted is None or str(row["run_id"]) in wanted) and status in (None, "all", row["status"]):
            stopped += 1
            await runs.cancel(row, action)
    if not stopped:
        raise Refused(404, "No runs found to cancel.")
    return Response(status_code=204)


def _cancel_live(
    request: Request, action: Literal["interrupt", "rollback"], thread: str | None, wanted: set[str] | None
) -> int:
    """Cancel this process's stateless runs; those of threads are found in the store."""
    found = [
        run
        for run in service_of(request).live
        if not run.threaded and thread in (None, run.thread_id) and (wanted is None or run.run_id in wanted)
    ]
    for run in found:
        run.cancel(action)
    return len(found)


def run_json(request: Request, row: DictRow) -> dict[str, Any]:
    """Return a run as clients read it."""
    entry = service_of(request).catalogue.find(row["graph_id"])
    return {
        "run_id": row["run_id"],
        "thread_id": row["thread_id"],
        "assistant_id": entry.uuid if entry is not None else row["graph_id"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "status": row["status"],
        "metadata": row["metadata"],
        "kwargs": {key: row["kwargs"].get(key) for key in _KEPT},
        "multitask_strategy": row["multitask_strategy"],
    }


def _stateless_json(run: LiveRun | EndedRun) -> dict[str, Any]:
    """Return a stateless run as clients read it: what it was given is not kept."""
    began = datetime.fromtimestamp(int(run.run_id.replace("-", "")[:12], 16) / 1000, UTC)  # ids are UUIDv7
    facts: dict[str, Any] = {"run_id": run.run_id, "thread_id": run.thread_id, "created_at": began}
    facts |= {"metadata": {}, "kwargs": {}}
    if isinstance(run, LiveRun):
        uuid, strategy = run.entry.uuid, run.payload.multitask_strategy
        return facts | {
            "assistant_id": uuid, "updated_at": began, "status": "running", "multitask_strategy": strategy
        }  # fmt: skip
    return facts | {
        "assistant_id": run.assistant_uuid,
        "updated_at": datetime.fromtimestamp(run.ended_at, UTC),
        "status": run.outcome.status,
        "multitask_strategy": run.multitask_strategy,
    }


def _thread_named(request: Request) -> str | None:
    """The thread in the path; a run without one is named by its id alone, `/runs/{run_id}`."""
    return thread_id_of(request) if "thread_id" in request.path_params else None


def _here(request: Request) -> LiveRun | EndedRun | None:
    """The run when it is this process's own: it runs, or it was stateless and ended just now."""
    service, run_id, thread_id = service_of(request), run_id_of(request), _thread_named(request)
    return service.live.find(run_id, thread_id) or service.ended.find(run_id, thread_id)


def _stateless(request: Request) -> LiveRun | EndedRun | None:
    found = _here(request)
    return None if isinstance(found, LiveRun) and found.threaded else found


async def _row(request: Request) -> DictRow:
    store, run_id, thread_id = threads_of(request).store, run_id_of(request), _thread_named(request)
    row = await (store.find_run(run_id) if thread_id is None else store.run(thread_id, run_id))
    if row is None:
        raise Refused(404, "Run not found")
    return row


def _ids(row: DictRow) -> tuple[str, str]:
    return str(row["thread_id"]), str(row["run_id"])


def _places(thread_id: str, run_id: str, way: Literal["join", "stream"]) -> dict[str, str]:
    place = f"/threads/{thread_id}/runs/{run_id}"
    return {"location": f"{place}/{way}", "content-location": place}


def _cancels(request: Request) -> bool:
    return request.query_params.get("cancel_on_disconnect", "").lower() in ("1", "true")


def _number(text: str | None, name: str, default: int, most: int) -> int:
    if text is None:
        return default
    if not text.isdigit() or int(text) > most:
        raise Refused(422, f"{name} must be a whole number from 0 to {most}")
    return int(text)
