"""The pool's graphs as assistants: one each, with the UUID every LangGraph server gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.worker.errors import Refused
from fleet.worker.http import json_answer, read_body
from fleet.worker.payload import load_object, metadata_of, parse_uuid, whole

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fleet.worker.compile import CompiledGraph
    from fleet.worker.service import Service


async def search(request: Request) -> Response:
    raw = await _body(request)
    found = _matching(request, raw)
    limit, offset = whole(raw, "limit", 10, least=1), whole(raw, "offset", 0, most=10**9)
    rows = [_assistant_json(request, entry) for entry in found[offset : offset + limit]]
    return json_answer(rows, headers={"x-pagination-total": str(len(found))})


async def count(request: Request) -> Response:
    return json_answer(len(_matching(request, await _body(request))))


async def get(request: Request) -> Response:
    return json_answer(_assistant_json(request, _by_uuid(request)))


async def graph(request: Request) -> Response:
    drawn = await _by_name(request).graph.aget_graph(xray=_xray(request))
    body = drawn.to_json()
    for node in body.get("nodes", []):
        if isinstance(node.get("data"), dict):
            node["data"].pop("id", None)
    return json_answer(body)


async def schemas(request: Request) -> Response:
    entry = _by_name(request)
    compiled = entry.graph
    return json_answer(
        {
            "graph_id": entry.assistant_id,
            "input_schema": compiled.get_input_jsonschema(),
            "output_schema": compiled.get_output_jsonschema(),
            "state_schema": _state_schema(compiled),
            "config_schema": compiled.get_config_jsonschema(),
            "context_schema": compiled.get_context_jsonschema(),
        }
    )


async def subgraphs(request: Request) -> Response:
    entry = _by_name(request)
    recurse = request.query_params.get("recurse", "").lower() in ("1", "true")
    found = entry.graph.aget_subgraphs(namespace=request.path_params.get("namespace"), recurse=recurse)
    return json_answer({name: _schemas_of(nested) async for name, nested in found})


async def _body(request: Request) -> dict[str, Any]:
    return load_object(await read_body(request, _service(request).config.max_body_bytes))


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _matching(request: Request, raw: dict[str, Any]) -> list[CompiledGraph]:
    wanted = metadata_of(raw)
    own = {"created_by": "system"}
    return [
        entry
        for entry in _service(request).catalogue.compiled
        if raw.get("graph_id") in (None, entry.assistant_id)
        and raw.get("name") in (None, entry.assistant_id)
        and wanted.items() <= own.items()
    ]


def _by_uuid(request: Request) -> CompiledGraph:
    uuid = parse_uuid(request.path_params["assistant_id"], "assistant ID")
    entry = _service(request).catalogue.find_uuid(uuid)
    if entry is None:
        raise Refused(404, f"Assistant with ID {uuid} not found")
    return entry


def _by_name(request: Request) -> CompiledGraph:
    return _service(request).catalogue.find(request.path_params["assistant_id"]) or _by_uuid(request)


def _assistant_json(request: Request, entry: CompiledGraph) -> dict[str, Any]:
    started = _service(request).started_at
    return {
        "assistant_id": entry.uuid,
        "graph_id": entry.assistant_id,
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "name": entry.assistant_id,
        "description": entry.spec.description,
        "created_at": started,
        "updated_at": started,
        "version": 1,
    }


def _xray(request: Request) -> bool | int:
    text = request.query_params.get("xray", "").lower()
    if text in ("", "false"):
        return False
    if text == "true":
        return True
    if not text.isdigit() or int(text) == 0:
        raise Refused(422, "Invalid xray value")
    return int(text)


def _schemas_of(compiled: Any) -> dict[str, Any]:
    return {
        "state": _state_schema(compiled),
        "input": compiled.get_input_jsonschema(),
        "output": compiled.get_output_jsonschema(),
        "config": compiled.get_config_jsonschema(),
        "context": compiled.get_context_jsonschema(),
    }


def _state_schema(compiled: Any) -> Any:
    """The whole state, the channels that neither input nor output shows included."""
    from langgraph.graph.state import CompiledStateGraph

    if not isinstance(compiled, CompiledStateGraph):
        return None
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(compiled.builder.state_schema).json_schema()
    except (PydanticUserError, NameError):
        return None  # the state holds what has no JSON form
