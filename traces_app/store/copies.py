"""One run, two forms: the LangSmith SDK can send its runs as OTLP spans too, under ids that share nothing.

A trace that is made of such copies alone is noted in `traces_app_spancopy`. It is a copy of the trace whose root has
the same project, name and start; once both are known, in whatever order and by whatever process they came, what was
stored of the copy goes and what still comes of it is not stored.
"""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants of this package alone
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson

from traces_app.store import columns, heads
from traces_app.store.merge import merge_parts
from traces_app.store.pack import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from traces_app.store.heads import Head, RollupKey, Totals
    from traces_app.store.records import Copy, RunPart

_LOCK = 0x5EC0_4D01
LOCK_FOR_RUNS = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
LOCK_FOR_COPIES = f"SELECT pg_advisory_xact_lock({_LOCK})"
_START = "(extract(epoch FROM h.started_at) * 1000000)::bigint"
_NOTE = (
    "INSERT INTO traces_app_spancopy AS c (trace_id, seen_at, project, name, start)"
    " SELECT trace_id, now(), project, name, start FROM json_populate_recordset(null::traces_app_spancopy, %s)"
    " ORDER BY trace_id ON CONFLICT (trace_id) DO UPDATE SET project = excluded.project, name = excluded.name,"
    " start = excluded.start WHERE c.start IS NULL AND excluded.start IS NOT NULL"
)
_SETTLE_COPIES = (
    "UPDATE traces_app_spancopy c SET of = h.trace_id FROM traces_app_tracehead h"
    " WHERE c.trace_id = ANY(%s) AND c.of IS NULL AND c.start IS NOT NULL AND h.source = 'langsmith'"
    " AND h.started_at = to_timestamp(0) + c.start * interval '1 microsecond'"
    " AND h.project = c.project AND h.name = c.name RETURNING uuid_send(c.trace_id)"
)
_SETTLE_RUNS = (
    "UPDATE traces_app_spancopy c SET of = h.trace_id FROM traces_app_tracehead h"
    f" WHERE h.trace_id = ANY(%s) AND c.of IS NULL AND c.start = {_START}"
    " AND h.source = 'langsmith' AND h.project = c.project AND h.name = c.name RETURNING uuid_send(c.trace_id)"
)
_DROPPED = "SELECT uuid_send(trace_id) FROM traces_app_spancopy WHERE trace_id = ANY(%s) AND of IS NOT NULL"
_PARTS = f"SELECT {columns.PART_SELECT} FROM traces_app_runpart p WHERE p.trace_id = ANY(%s)"
_LOCK_HEADS = "SELECT FROM traces_app_tracehead WHERE trace_id = ANY(%s::uuid[]) ORDER BY trace_id FOR UPDATE"
_PAYLOADS = "SELECT uuid_send(trace_id), chunk_id, payload FROM traces_app_chunk WHERE trace_id = ANY(%s)"
_TABLES = ("traces_app_runpart", "traces_app_chunk", "traces_app_attachment", "traces_app_tracehead")


async def note(conn: Any, copies: Iterable[Copy]) -> set[bytes]:
    """Note the copies a commit brings; returns the traces of which nothing is to be stored.

    The transaction holds `LOCK_FOR_COPIES`, so no run is on its way that could not be seen.
    """
    noted: dict[bytes, Copy] = {}
    for copy in copies:
        if copy.start is not None or copy.trace_id not in noted:
            noted[copy.trace_id] = copy
    rows = [
        {"trace_id": c.trace_id.hex(), "project": c.project, "name": c.name, "start": c.start}
        for c in noted.values()
    ]
    ids = [t.hex() for t in noted]
    await conn.execute(_NOTE, (orjson.dumps(rows).decode(),))
    cur = await conn.execute(_SETTLE_COPIES, (ids,))
    await erase(conn, [bytes(t) for (t,) in await cur.fetchall()])
    cur = await conn.execute(_DROPPED, (ids,))
    return {bytes(t) for (t,) in await cur.fetchall()}


async def erase_copies_of(conn: Any, roots: Iterable[Head]) -> None:
    """Take out the copies of traces whose roots a commit has just written."""
    ids = [h.trace_id.hex() for h in roots if h.source == "langsmith" and h.root_rank < 2]
    if ids:
        cur = await conn.execute(_SETTLE_RUNS, (ids,))
        await erase(conn, [bytes(t) for (t,) in await cur.fetchall()])


async def erase(conn: Any, trace_ids: list[bytes]) -> None:
    """Delete the traces and take what they added out of the roll-ups; one that holds a span of its own stays."""
    if not trace_ids:
        return
    await conn.execute(_LOCK_HEADS, (sorted(t.hex() for t in trace_ids),))
    cur = await conn.execute(_PARTS, ([t.hex() for t in trace_ids],))
    parts = [columns.part_from_row(row) for row in await cur.fetchall()]
    cur = await conn.execute(_PAYLOADS, ([t.hex() for t in trace_ids],))
    chunks = {(bytes(t), chunk): unpack(bytes(blob)) for t, chunk, blob in await cur.fetchall()}
    own = {p.trace_id for p in parts if not _is_copy(p, chunks)}
    gone = [p for p in parts if p.trace_id not in own]
    await add_rollups(conn, heads.rollup_losses(_merged(gone)))
    ids = sorted({p.trace_id.hex() for p in gone})
    for table in _TABLES:
        await conn.execute(f"DELETE FROM {table} WHERE trace_id = ANY(%s)", (ids,))


def _is_copy(part: RunPart, chunks: dict[tuple[bytes, int], list[dict[str, Any]]]) -> bool:
    places = chunks.get((part.trace_id, part.chunk_id))
    extra = (places[part.slot].get("extra") or {}) if places else {}
    return made_by_langsmith(extra.get("scope") or "", extra.get("resource") or {})


def made_by_langsmith(scope: str, resource: dict[str, Any]) -> bool:
    """Whether the LangSmith SDK made the span of a run that it may also send as a run."""
    return scope == "langsmith" or resource.get("langsmith.internal_provider") is True


async def add_rollups(conn: Any, deltas: dict[RollupKey, Totals]) -> None:
    """Add the differences to the roll-ups."""
    rows = [heads.rollup_to_json(k, t) for k, t in deltas.items() if heads.says_something(t)]
    if rows:
        await conn.execute(heads.ADD_ROLLUPS, (orjson.dumps(rows).decode(),))


def _merged(parts: list[RunPart]) -> list[RunPart]:
    by_run: dict[bytes, list[RunPart]] = defaultdict(list)
    for part in parts:
        by_run[part.run_id].append(part)
    return [merge_parts(of_run) for of_run in by_run.values()]
