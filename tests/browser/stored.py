"""Puts rows of an action into the store, through the store's own writer, and its hops into the dispatch log."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from msgspec import structs

from tests.ingest.parts import make_part, sealed
from traces_app.store.records import Bundle, Kind, Status
from traces_app.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from traces_app.rows import DispatchRow, RunPayload, RunRow

STATUSES = {"running": Status.RUNNING, "ok": Status.OK, "error": Status.ERROR}


def store(
    url: str, runs: Sequence[RunRow], hops: Sequence[DispatchRow], payloads: Mapping[str, RunPayload]
) -> None:
    """Write everything and return once it is committed."""
    from routing_app.models import DispatchRecord

    names = {field.name for field in DispatchRecord._meta.get_fields()}
    for hop in hops:
        values = {name: value for name, value in structs.asdict(hop).items() if value is not None}
        DispatchRecord.objects.create(**{name: values[name] for name in values.keys() & names})
    parts = [_part(run, payloads.get(run.run_id)) for run in runs]

    async def write() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await Writer(price=lambda _run: None).write(conn, [sealed(Bundle(parts=parts))])

    # Playwright's loop lives in this thread.
    worker = threading.Thread(target=lambda: asyncio.run(write()))
    worker.start()
    worker.join()


def _part(run: RunRow, payload: RunPayload | None) -> Any:
    given: dict[str, Any] = {
        "inputs": payload.inputs if payload else {"name": run.name},
        "outputs": payload.outputs if payload else {"done": True},
    }
    told = {"agentic.graph_digest": run.graph_digest, "agentic.dispatch_id": run.dispatch_id}
    attested = {name: value for name, value in told.items() if value}
    return make_part(
        kind=Kind.SPAN,
        trace_id=UUID(run.trace_id).bytes,
        run_id=UUID(run.run_id).bytes,
        parent_id=UUID(run.parent_run_id).bytes if run.parent_run_id else None,
        name=run.name,
        run_type=run.run_type,
        project=run.project,
        start=_us(run.start),
        end=_us(run.end),
        status=STATUSES[run.status],
        assistant_id=run.assistant_id or "",
        pool=run.pool or "",
        routing_version=run.routing_version,
        model=run.model or "",
        prompt_tokens=run.prompt_tokens,
        completion_tokens=run.completion_tokens,
        total_tokens=run.total_tokens,
        cost=run.cost,
        first_token=_us(run.first_token),
        facts={"metadata": {**run.metadata, **attested}, "error": run.error, "tags": list(run.tags)},
        payload={**given, "error": run.error},
    )


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1e6)
