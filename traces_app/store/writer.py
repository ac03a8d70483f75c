"""All writes of the trace store: one transaction for many requests.

Order of locks: heads by trace id, then roll-ups by key. Whoever holds the head of a trace sees all its stored parts,
so what is new is decided here and not by conflicts, and parts go in by plain `COPY`.
"""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants of this package alone
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import orjson
import psycopg

from traces_app.store import columns, copies, heads
from traces_app.store.heads import Change, Head
from traces_app.store.merge import merge_order, merge_parts
from traces_app.store.records import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from decimal import Decimal

    from traces_app.store.records import Bundle, Quarantined, RunPart

_AHEAD = timedelta(days=2)
_HEADS = ", ".join(heads.HEAD_COLUMNS)
_HEADS_NEW = ", ".join(f"n.{c}" for c in heads.HEAD_COLUMNS)
LOCK_HEADS = f"SELECT {heads.HEAD_SELECT} FROM traces_app_tracehead WHERE trace_id = ANY(%s) ORDER BY trace_id FOR UPDATE"
INSERT_HEADS = (
    f"INSERT INTO traces_app_tracehead ({_HEADS}) SELECT {_HEADS_NEW}"
    " FROM json_populate_recordset(null::traces_app_tracehead, %s) n ORDER BY n.trace_id ON CONFLICT DO NOTHING"
)
UPDATE_HEADS = (
    f"UPDATE traces_app_tracehead h SET ({_HEADS}) = ROW({_HEADS_NEW})"
    " FROM json_populate_recordset(null::traces_app_tracehead, %s) n WHERE h.trace_id = n.trace_id"
)
STORED_PARTS = (
    f"SELECT {columns.PART_SELECT} FROM traces_app_runpart p"
    " WHERE p.run_id = ANY(%s) AND p.trace_id = ANY(%s) AND p.day = ANY(%s)"
)
STORED_ATTACHMENTS = "SELECT uuid_send(run_id), name FROM traces_app_attachment WHERE trace_id = ANY(%s)"
ADD_PROJECTS = (
    "INSERT INTO traces_app_project (id, name, created_at, description, extra)"
    " SELECT * FROM unnest(%s::uuid[], %s::text[]) u(id, name), (SELECT now(), '', '{}'::jsonb) o ON CONFLICT DO NOTHING"
)
ADD_QUARANTINE = (
    "INSERT INTO traces_app_quarantine (digest, received_at, door, reason, item, excerpt)"
    " VALUES (%s, now(), %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_NO_ROWS = len(columns.COPY_HEADER + columns.COPY_END)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class RacedError(Exception):
    """Another writer saw one of our traces first; the whole transaction is to be tried again."""


def project_id(name: str) -> str:
    """Return the id of a project: the same for the same name everywhere."""
    return str(uuid5(NAMESPACE_URL, f"langsmith-project:{name}"))


class Writer:
    """Writes bundles; keeps only what saves work: the days that have a partition and the projects that have a row."""

    def __init__(
        self,
        *,
        price: Callable[[RunPart], Decimal | None],
        sampled: Callable[[bytes, str], bool] = lambda _trace, _assistant: True,
        store_feedback: Callable[[Connection, Sequence[Any]], Awaitable[object]] | None = None,
    ) -> None:
        self._price = price
        self._sampled = sampled
        self._store_feedback = store_feedback
        self._days: set[date] = set()
        self._projects: set[str] = set()

    async def write(self, conn: Connection, bundles: Sequence[Bundle]) -> int:
        """Store the bundles in one transaction and return the number of new parts. Idempotent.

        Raises `RacedError` or a psycopg error with nothing written.
        """
        now = time.time_ns() // 1000
        day = datetime.fromtimestamp(now / 1e6, UTC).date()
        await self._have_partitions(conn, day)
        projects = {p.project for b in bundles for p in b.parts if p.project} - self._projects
        async with conn.transaction():
            new = await self._write_traces(conn, bundles, day, now)
            await self._write_projects(conn, projects)
            await _write_quarantine(conn, [q for b in bundles for q in b.quarantined])
            feedback = [f for b in bundles for f in b.feedback]
            if feedback and self._store_feedback:
                await self._store_feedback(conn, feedback)
        self._projects |= projects
        return new

    async def _have_partitions(self, conn: Connection, day: date) -> None:
        if day not in self._days:
            await conn.execute("SELECT traces_app_make_partitions(%s, %s)", (day, day + _AHEAD))
            self._days.add(day)

    async def _write_traces(self, conn: Connection, bundles: Sequence[Bundle], day: date, now: int) -> int:
        dropped = await _meet_copies(conn, bundles)
        parts = [
            p
            for b in bundles
            for p in b.parts
            if not (b.copies and p.trace_id in dropped and any(c.trace_id == p.trace_id for c in b.copies))
        ]
        attached = [a for b in bundles for a in b.attachments]
        trace_ids = sorted({p.trace_id for p in parts} | {a.trace_id for a in attached})
        if not trace_ids:
            return 0
        known = await _lock(conn, trace_ids)
        stored = await _stored(conn, known, parts) if known else {}
        changes = _changes(parts, stored)
        self._bill(changes)
        created = [heads.new_head(t, day, now) for t in trace_ids if t not in known]
        all_heads = {**known, **{h.trace_id: h for h in created}}
        moved = self._move(all_heads, changes, now)
        await _write_heads(conn, created, [h for h in moved if h.trace_id in known])
        new = [p for c in changes for p in c.new]
        await _copy_parts(conn, bundles, new, all_heads)
        await _copy_attachments(conn, attached, all_heads)
        await copies.erase_copies_of(conn, moved)
        await copies.add_rollups(conn, heads.rollup_deltas(changes))
        return len(new)

    def _bill(self, changes: Iterable[Change]) -> None:
        for change in changes:
            run = change.after
            if run.run_type == "llm" and run.cost is None and run.total_tokens:
                cost = self._price(run)
                if cost is not None:  # on the part that completes the picture, so that readers need no prices
                    change.new[-1].cost = cost
                    run.cost = cost

    def _move(self, all_heads: dict[bytes, Head], changes: Iterable[Change], now: int) -> list[Head]:
        by_trace: dict[bytes, list[Change]] = defaultdict(list)
        for change in changes:
            by_trace[change.after.trace_id].append(change)
        for trace_id, of_trace in by_trace.items():
            head = all_heads[trace_id]
            heads.apply(head, of_trace, now)
            head.sampled = self._sampled(trace_id, head.assistant_id)
        return [all_heads[t] for t in by_trace]

    async def _write_projects(self, conn: Connection, names: set[str]) -> None:
        if names:
            ordered = sorted(names)
            await conn.execute(ADD_PROJECTS, ([project_id(n) for n in ordered], ordered))


async def _meet_copies(conn: Connection, bundles: Sequence[Bundle]) -> set[bytes]:
    """Take the lock that lets runs and their OTLP copies see each other; returns the traces not to store."""
    noted = [c for b in bundles for c in b.copies]
    if noted:
        await conn.execute(copies.LOCK_FOR_COPIES)
        return await copies.note(conn, noted)
    if any(p.kind != Kind.SPAN for b in bundles for p in b.parts):
        await conn.execute(copies.LOCK_FOR_RUNS)
    return set()


async def _lock(conn: Connection, trace_ids: list[bytes]) -> dict[bytes, Head]:
    cur = await conn.execute(LOCK_HEADS, ([t.hex() for t in trace_ids],))
    rows = [heads.head_from_row(row) for row in await cur.fetchall()]
    return {h.trace_id: h for h in rows}


async def _stored(
    conn: Connection, known: dict[bytes, Head], parts: Iterable[RunPart]
) -> dict[tuple[bytes, bytes], list[RunPart]]:
    """Return what is stored of the runs that are touched, by (trace, run)."""
    run_ids = {p.run_id.hex() for p in parts if p.trace_id in known}
    days = list({h.day for h in known.values()})
    cur = await conn.execute(STORED_PARTS, (list(run_ids), [t.hex() for t in known], days))
    stored: dict[tuple[bytes, bytes], list[RunPart]] = defaultdict(list)
    for row in await cur.fetchall():
        part = columns.part_from_row(row)
        stored[part.trace_id, part.run_id].append(part)
    return stored


def _changes(parts: Iterable[RunPart], stored: dict[tuple[bytes, bytes], list[RunPart]]) -> list[Change]:
    by_run: dict[tuple[bytes, bytes], list[RunPart]] = defaultdict(list)
    for part in parts:
        by_run[part.trace_id, part.run_id].append(part)
    changes = []
    for run, sent in by_run.items():
        had = stored.get(run)
        if had is None and len(sent) == 1:
            changes.append(Change(None, sent[0], sent))
            continue
        had = had or []
        keys = {p.key for p in had}
        new = sorted({p.key: p for p in sent if p.key not in keys}.values(), key=merge_order)
        if new:
            changes.append(Change(merge_parts(had) if had else None, merge_parts([*had, *new]), new))
    return changes


async def _write_heads(conn: Connection, created: list[Head], moved: list[Head]) -> None:
    if created:
        rows = orjson.dumps([heads.head_to_json(h) for h in created], default=str)
        cur = await conn.execute(INSERT_HEADS, (rows.decode(),))
        if cur.rowcount != len(created):
            raise RacedError
    if moved:
        rows = orjson.dumps([heads.head_to_json(h) for h in moved], default=str)
        await conn.execute(UPDATE_HEADS, (rows.decode(),))


async def _copy_parts(
    conn: Connection, bundles: Sequence[Bundle], new: list[RunPart], all_heads: dict[bytes, Head]
) -> None:
    days = {t: columns.day_number(h.day) for t, h in all_heads.items()}
    await _copy(
        conn, "traces_app_runpart", columns.PART_COLUMNS, (columns.part_row(p, days[p.trace_id]) for p in new)
    )
    wanted = {(p.trace_id, p.chunk_id) for p in new}
    chunks = {(c.trace_id, c.chunk_id): c for b in bundles for c in b.chunks}
    rows = (columns.chunk_row(c, days[c.trace_id]) for key, c in chunks.items() if key in wanted)
    await _copy(conn, "traces_app_chunk", columns.CHUNK_COLUMNS, rows)


async def _copy_attachments(conn: Connection, attached: list[Any], all_heads: dict[bytes, Head]) -> None:
    if not attached:
        return
    cur = await conn.execute(STORED_ATTACHMENTS, ([a.trace_id.hex() for a in attached],))
    stored = {(bytes(run_id), name) for run_id, name in await cur.fetchall()}
    fresh = {(a.run_id, a.name): a for a in attached if (a.run_id, a.name) not in stored}
    rows = (columns.attachment_row(a, columns.day_number(all_heads[a.trace_id].day)) for a in fresh.values())
    await _copy(conn, "traces_app_attachment", columns.ATTACHMENT_COLUMNS, rows)


async def _copy(conn: Connection, table: str, names: str, rows: Iterable[bytes]) -> None:
    body = b"".join((columns.COPY_HEADER, *rows, columns.COPY_END))
    if len(body) == _NO_ROWS:
        return
    async with conn.cursor() as cur, cur.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy:
        await copy.write(body)


async def _write_quarantine(conn: Connection, items: list[Quarantined]) -> None:
    if items:
        async with conn.cursor() as cur:
            rows = [(q.digest(), q.door, q.reason, q.item, q.excerpt) for q in items]
            await cur.executemany(ADD_QUARANTINE, sorted(rows))
