"""Stateless runs: `/runs/wait`, `/runs/stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from contract import headers as names
from fleet.worker.answers import EventsAnswer, WaitAnswer
from fleet.worker.facts import read_facts
from fleet.worker.http import read_body
from fleet.worker.payload import RunPayload, load_json, parse_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from fleet.worker.live import CallFacts, LiveRun
    from fleet.worker.service import Service


async def read_run(request: Request, service: Service) -> tuple[RunPayload, CallFacts]:
    """Return the checked body and header facts of a run request."""
    body = await read_body(request, service.config.max_body_bytes)
    return parse_run(load_json(body)), read_facts(request.scope["headers"])


def attest(service: Service, run: LiveRun, location: str, content_location: str) -> dict[str, str]:
    """Return the headers that name a run and say what ran it."""
    return {
        "location": location,
        "content-location": content_location,
        names.X_POOL: service.config.pool,
        names.X_GRAPH_DIGEST: run.entry.digest,
    }


async def wait_stateless(request: Request) -> ASGIApp:
    service: Service = request.app.state.service
    payload, facts = await read_run(request, service)
    run = service.start_stateless(payload, facts, streams=False)
    place = f"/threads/{run.thread_id}/runs/{run.run_id}"
    return WaitAnswer(run.started, attest(service, run, f"{place}/join", place), leaving(run, "cancel"))


async def stream_stateless(request: Request) -> ASGIApp:
    service: Service = request.app.state.service
    payload, facts = await read_run(request, service)
    run = service.start_stateless(payload, facts, streams=True)
    place = f"/runs/{run.run_id}"
    return EventsAnswer(run.listen(), attest(service, run, f"{place}/stream", place), leaving(run, "cancel"))


def leaving(run: LiveRun, default: Literal["cancel", "continue"]) -> Callable[[], None] | None:
    """Return what happens when the caller goes away, `default` unless the request says.

    A stateless run leaves nothing behind, so it ends with its caller; a thread keeps what its run makes.
    """
    return run.cancel if (run.payload.on_disconnect or default) == "cancel" else None
