"""Threads and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from fleet.worker.errors import Refused
from fleet.worker.http import json_answer, read_body
from fleet.worker.ids import new_id
from fleet.worker.payload import load_object, metadata_of, parse_uuid, whole
from fleet.worker.state import checkpoint_of, open_interrupts, plain_state, snapshot_json, thread_config

if TYPE_CHECKING:
    from psycopg.rows import DictRow
    from starlette.requests import Request

    from fleet.worker.compile import CompiledGraph
    from fleet.worker.service import Service
    from fleet.worker.threaded import ThreadedRuns

_STATUSES = ("idle", "busy", "interrupted", "error")


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def threads_of(request: Request) -> ThreadedRuns:
    return service_of(request).threaded


def thread_id_of(request: Request) -> str:
    return parse_uuid(request.path_params["thread_id"], "thread ID")


async def body_of(request: Request) -> dict[str, Any]:
    return load_object(await read_body(request, service_of(request).config.max_body_bytes))


async def create(request: Request) -> Response:
    raw = await body_of(request)
    thread_id = parse_uuid(raw["thread_id"], "thread ID") if raw.get("thread_id") is not None else new_id()
    if_exists = raw.get("if_exists") or "raise"
    if if_exists not in ("raise", "do_nothing"):
        raise Refused(422, "if_exists must be raise or do_nothing")
    if raw.get("supersteps"):
        raise Refused(422, "supersteps is not served by this pool")
    metadata = metadata_of(raw)
    if raw.get("graph_id") is not None:
        metadata["graph_id"] = raw["graph_id"]
    row = await threads_of(request).store.create_thread(thread_id, metadata, keep=if_exists == "do_nothing")
    return json_answer(thread_json(row))


async def get(request: Request) -> Response:
    return json_answer(thread_json(await threads_of(request).store.thread(thread_id_of(request))))


async def patch(request: Request) -> Response:
    raw = await body_of(request)
    row = await threads_of(request).store.patch_thread(thread_id_of(request), metadata_of(raw))
    return json_answer(thread_json(row))


async def delete(request: Request) -> Response:
    runs = threads_of(request)
    thread_id = thread_id_of(request)
    for row in await runs.store.unfinished(thread_id):
        await runs.cancel(row, "interrupt")
    await runs.store.delete_thread(thread_id)
    return Response(status_code=204)


async def copy(request: Request) -> Response:
    row = await threads_of(request).store.copy_thread(thread_id_of(request), new_id())
    return json_answer(thread_json(row))


async def search(request: Request) -> Response:
    raw = await body_of(request)
    limit, offset = whole(raw, "limit", 10, least=1), whole(raw, "offset", 0, most=10**9)
    rows = await threads_of(request).store.search_threads(_where(raw), limit, offset)
    total = offset + len(rows) + (len(rows) == limit)
    return json_answer([thread_json(row) for row in rows], headers={"x-pagination-total": str(total)})


async def count(request: Request) -> Response:
    return json_answer(await threads_of(request).store.count_threads(_where(await body_of(request))))


async def state(request: Request) -> Response:
    checkpoint = (
        {"checkpoint_id": request.path_params["checkpoint_id"]}
        if "checkpoint_id" in request.path_params
        else {}
    )
    return await _state(
        request, checkpoint, request.query_params.get("subgraphs", "").lower() in ("1", "true")
    )


async def state_at(request: Request) -> Response:
    raw = await body_of(request)
    checkpoint = raw.get("checkpoint")
    if not isinstance(checkpoint, dict):
        raise Refused(422, "checkpoint must be an object")
    return await _state(request, checkpoint, bool(raw.get("subgraphs")))


async def update_state(request: Request) -> Response:
    raw = await body_of(request)
    values = raw.get("values")
    if values is not None and not isinstance(values, dict | list):
        raise Refused(422, "values must be an object or a list")
    as_node = raw.get("as_node")
    if as_node is not None and not isinstance(as_node, str):
        raise Refused(422, "as_node must be a string")
    runs = threads_of(request)
    thread, entry = await _with_graph(runs, thread_id_of(request))
    _check_resumable(entry)
    if thread["status"] == "busy":
        raise Refused(409, f"Thread {thread['thread_id']} has in-flight runs: wait for them or cancel them.")
    graph = runs.graph(entry)
    config = thread_config(str(thread["thread_id"]), _checkpoint(raw.get("checkpoint") or {}, raw))
    try:
        updated = await graph.aupdate_state(config, values, as_node=as_node)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(422, f"the update does not fit the graph: {error}") from error
    except Exception as error:
        if not type(error).__module__.startswith("langgraph"):
            raise
        raise Refused(422, f"the update does not fit the graph: {error}") from error
    snapshot = await graph.aget_state(thread_config(str(thread["thread_id"])))
    status = "interrupted" if snapshot.next else "idle"
    await runs.store.set_values(str(thread["thread_id"]), snapshot.values, status, open_interrupts(snapshot))
    checkpoint = checkpoint_of(updated) or {}
    return json_answer(
        {
            "checkpoint": checkpoint,
            "configurable": updated["configurable"],
            "checkpoint_id": checkpoint.get("checkpoint_id"),
        }
    )


async def history(request: Request) -> Response:
    if request.method == "GET":
        raw: dict[str, Any] = {}
        text = request.query_params.get("limit", "10")
        raw["limit"] = int(text) if text.isdigit() else text
    else:
        raw = await body_of(request)
    limit = whole(raw, "limit", 10, least=1)
    runs = threads_of(request)
    thread = await runs.store.thread(thread_id_of(request))
    entry = _graph_of(runs, thread)
    if entry is None:
        return json_answer([])
    if not entry.spec.resumable:
        return json_answer([plain_state(thread)])
    before = raw.get("before")
    before_id = before.get("checkpoint_id") if isinstance(before, dict) else before
    before_config = (
        thread_config(str(thread["thread_id"]), {"checkpoint_id": before_id}) if before_id else None
    )
    found = runs.graph(entry).aget_state_history(
        thread_config(str(thread["thread_id"]), _checkpoint(raw.get("checkpoint") or {}, {})),
        limit=limit,
        before=before_config,
        filter=raw.get("metadata") if isinstance(raw.get("metadata"), dict) else None,
    )
    return json_answer([snapshot_json(snapshot) async for snapshot in found])


def thread_json(row: DictRow) -> dict[str, Any]:
    """Return a thread as clients read it."""
    keys = ("thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "config", "status")
    return {
        **{key: row[key] for key in keys},
        "values": row["values"],
        "interrupts": row["interrupts"],
        "error": row["error"],
    }


async def _state(request: Request, checkpoint: dict[str, Any], subgraphs: bool) -> Response:
    runs = threads_of(request)
    thread = await runs.store.thread(thread_id_of(request))
    entry = _graph_of(runs, thread)
    if entry is None or not entry.spec.resumable:
        return json_answer(plain_state(thread))
    config = thread_config(str(thread["thread_id"]), _checkpoint(checkpoint, {}))
    return json_answer(snapshot_json(await runs.graph(entry).aget_state(config, subgraphs=subgraphs)))


def _checkpoint(checkpoint: object, raw: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(checkpoint, dict):
        raise Refused(422, "checkpoint must be an object")
    kept = {
        key: checkpoint[key]
        for key in ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
        if checkpoint.get(key)
    }
    checkpoint_id = raw.get("checkpoint_id") or kept.get("checkpoint_id")
    if checkpoint_id:
        kept["checkpoint_id"] = parse_uuid(checkpoint_id, "checkpoint ID")
    return kept


async def _with_graph(runs: ThreadedRuns, thread_id: str) -> tuple[DictRow, CompiledGraph]:
    thread = await runs.store.thread(thread_id)
    entry = _graph_of(runs, thread)
    if entry is None:
        raise Refused(400, f"Thread '{thread_id}' has no assigned graph ID: no run was made on it.")
    return thread, entry


def _graph_of(runs: ThreadedRuns, thread: DictRow) -> CompiledGraph | None:
    name = thread["graph_id"] or thread["metadata"].get("graph_id")
    return runs.service.graph_for(name) if isinstance(name, str) and name else None


def _check_resumable(entry: CompiledGraph) -> None:
    if not entry.spec.resumable:
        raise Refused(
            409, f"{entry.assistant_id} keeps no checkpoints: its state cannot be updated or resumed."
        )


def _where(raw: dict[str, Any]) -> dict[str, Any]:
    status = raw.get("status")
    if status is not None and status not in _STATUSES:
        raise Refused(422, f"status must be one of {', '.join(_STATUSES)}")
    ids = raw.get("ids")
    if ids is not None and not isinstance(ids, list):
        raise Refused(422, "ids must be a list of thread IDs")
    return {
        "status": status,
        "metadata": metadata_of(raw),
        "values": metadata_of(raw, "values"),
        "ids": [parse_uuid(item, "thread ID") for item in ids] if ids else None,
    }
