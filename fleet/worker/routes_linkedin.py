"""`/linkedin/…`: two graphs of CORE behind addresses and bodies of their own, for callers that know no assistants.

They are runs like any other (same limits, headers, tracing and failures); only the body is the graph's input itself,
and is held against the graph's shape here, because the dispatcher passes these paths on as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from contract.shapes import SHAPES
from fleet.worker.answers import WaitAnswer
from fleet.worker.facts import read_facts
from fleet.worker.http import json_answer, read_body
from fleet.worker.payload import load_json, parse_run
from fleet.worker.routes_runs import attest, leaving

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from fleet.worker.service import Service

#: Address → the graph behind it.
GRAPHS = {"/linkedin/posts/score": "linkedin_post_score", "/linkedin/profiles": "linkedin_profile_intake"}
_MOST_ERRORS = 5


async def index(_: Request) -> Response:
    """What can be posted where: each address with its graph and the JSON Schema of its body, examples included."""
    routes = [
        {"method": "POST", "path": path, "assistant_id": graph, "input_schema": SHAPES[graph]}
        for path, graph in GRAPHS.items()
    ]
    return json_answer({"routes": routes})


async def run(request: Request) -> ASGIApp:
    service: Service = request.app.state.service
    assistant_id = GRAPHS[request.url.path]
    given = load_json(await read_body(request, service.config.max_body_bytes))
    if errors := shape_errors(given, SHAPES[assistant_id]):
        first = errors[0]
        detail = f"{first['pointer'] or 'the body'}: {first['message']}"
        return json_answer({"detail": detail, "kind": "client", "pointer": first["pointer"], "errors": errors}, 422)  # fmt: skip
    payload = parse_run({"assistant_id": assistant_id, "input": given})
    started = service.start_stateless(payload, read_facts(request.scope["headers"]), streams=False)
    place = f"/threads/{started.thread_id}/runs/{started.run_id}"
    return WaitAnswer(
        started.started, attest(service, started, f"{place}/join", place), leaving(started, "cancel")
    )


def shape_errors(given: Any, schema: dict[str, Any]) -> list[dict[str, str]]:
    """What is wrong with a body, each with the JSON pointer to it; a field that is missing is pointed to itself."""
    from jsonschema import Draft202012Validator

    found = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda error: error.json_path)
    return [{"pointer": _pointer(error), "message": error.message[:300]} for error in found[:_MOST_ERRORS]]


def _pointer(error: Any) -> str:
    parts = [str(part) for part in error.absolute_path]
    if error.validator == "required":
        parts += [name for name in error.validator_value if name not in error.instance][:1]
    if error.validator == "additionalProperties":
        parts += [name for name in error.instance if name not in error.schema.get("properties", {})][:1]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


ROUTES = [
    Route("/linkedin", index, methods=["GET"]),
    *(Route(path, run, methods=["POST"]) for path in GRAPHS),
]
