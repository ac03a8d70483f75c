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

import msgspec
import orjson
import psycopg

from traces_app.store import columns, copies, heads
from traces_app.store.heads import Change, Head, RollupKey, Totals
from traces_app.store.merge import merge_order, merge_parts
from traces_app.store.records import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal

    from traces_app.store.records import Bundle, Chunk, Quarantined, RunPart

_AHEAD = timedelta(days=2)
_SPAN = Kind.SPAN
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

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class RacedError(Exception):
    """Another writer saw one of our traces first; the whole transaction is to be tried again."""


def project_id(name: str) -> str:
    """Return the id of a project: the same for the same name everywhere."""
    return str(uuid5(NAMESPACE_URL, f"langsmith-project:{name}"))


class Move(msgspec.Struct):
    """What a commit brings to one trace: its head as it is now, rows of new parts, and the chunks they are in."""

    head: Head
    day: int
    rows: list[bytes]
    chunks: list[Chunk]


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
        sent: dict[bytes, list[RunPart]] = defaultdict(list)
        for b in bundles:
            gone = {c.trace_id for c in b.copies} & dropped
            for p in b.parts:
                if p.trace_id not in gone:
                    sent[p.trace_id].append(p)
        attached = [a for b in bundles for a in b.attachments]
        trace_ids = sorted(sent.keys() | {a.trace_id for a in attached})
        if not trace_ids:
            return 0
        known = await _lock(conn, trace_ids)
        stored = await _stored(conn, known, sent) if known else {}
        all_heads = {t: known.get(t) or heads.new_head(t, day, now) for t in trace_ids}
        chunks = {(c.trace_id, c.chunk_id): c for b in bundles for c in b.chunks}
        totals: dict[RollupKey, Totals] = {}
        moves = [
            self._move(all_heads[t], change, chunks, totals, now)
            for t, parts in sent.items()
            if (change := _change(parts, stored.get(t, {}))).new
        ]
        await _write_heads(
            conn,
            created=[head for t, head in all_heads.items() if t not in known],
            moved=[m.head for m in moves if m.head.trace_id in known],
        )
        await _copy_moves(conn, moves)
        await _copy_attachments(conn, attached, all_heads)
        await copies.erase_copies_of(conn, [m.head for m in moves])
        await copies.add_rollups(conn, totals)
        return sum(len(m.rows) for m in moves)

    def _move(
        self,
        head: Head,
        change: Change,
        chunks: dict[tuple[bytes, int], Chunk],
        totals: dict[RollupKey, Totals],
        now: int,
    ) -> Move:
        """Move head and totals by what is new of a trace, and return what is to be written of it."""
        self._bill(change)
        brought = [chunks[head.trace_id, chunk_id] for chunk_id in {p.chunk_id for p in change.new}]
        heads.apply(head, totals, change, brought, now)
        head.sampled = self._sampled(head.trace_id, head.assistant_id)
        day = columns.day_number(head.day)
        return Move(head, day, [columns.part_row(p, day) for p in change.new], brought)

    def _bill(self, change: Change) -> None:
        for run, last in zip(change.after, change.last, strict=True):
            if run.run_type == "llm" and run.cost is None and run.total_tokens:
                cost = self._price(run)
                if cost is not None:  # on the part that completes the picture, so that readers need no prices
                    last.cost = run.cost = cost

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
    if any(p.kind != _SPAN for b in bundles for p in b.parts):
        await conn.execute(copies.LOCK_FOR_RUNS)
    return set()


async def _lock(conn: Connection, trace_ids: list[bytes]) -> dict[bytes, Head]:
    cur = await conn.execute(LOCK_HEADS, ([t.hex() for t in trace_ids],))
    rows = [heads.head_from_row(row) for row in await cur.fetchall()]
    return {h.trace_id: h for h in rows}


async def _stored(
    conn: Connection, known: dict[bytes, Head], sent: dict[bytes, list[RunPart]]
) -> dict[bytes, dict[bytes, list[RunPart]]]:
    """Return what is stored of the runs that are touched, by trace and run."""
    run_ids = {p.run_id.hex() for t, parts in sent.items() if t in known for p in parts}
    days = list({h.day for h in known.values()})
    cur = await conn.execute(STORED_PARTS, (list(run_ids), [t.hex() for t in known], days))
    stored: dict[bytes, dict[bytes, list[RunPart]]] = defaultdict(lambda: defaultdict(list))
    for row in await cur.fetchall():
        part = columns.part_from_row(row)
        stored[part.trace_id][part.run_id].append(part)
    return stored


def _change(parts: list[RunPart], stored: dict[bytes, list[RunPart]]) -> Change:
    """Return what the parts change of their trace."""
    if not stored and len({p.run_id for p in parts}) == len(parts):
        return Change([], parts, parts, parts)
    by_run: dict[bytes, list[RunPart]] = defaultdict(list)
    for part in parts:
        by_run[part.run_id].append(part)
    change = Change([], [], [], [])
    for run_id, sent in by_run.items():
        had = stored.get(run_id, [])
        keys = {p.key for p in had}
        new = sorted({p.key: p for p in sent if p.key not in keys}.values(), key=merge_order)
        if new:
            if had:
                change.before.append(merge_parts(had))
            change.after.append(merge_parts([*had, *new]))
            change.last.append(new[-1])
            change.new += new
    return change


async def _write_heads(conn: Connection, *, created: list[Head], moved: list[Head]) -> None:
    if created:
        rows = orjson.dumps([heads.head_to_json(h) for h in created], default=str)
        cur = await conn.execute(INSERT_HEADS, (rows.decode(),))
        if cur.rowcount != len(created):
            raise RacedError
    if moved:
        rows = orjson.dumps([heads.head_to_json(h) for h in moved], default=str)
        await conn.execute(UPDATE_HEADS, (rows.decode(),))


async def _copy_moves(conn: Connection, moves: list[Move]) -> None:
    rows = [row for move in moves for row in move.rows]
    await _copy(conn, "traces_app_runpart", columns.PART_COLUMNS, rows)
    rows = [columns.chunk_row(c, move.day) for move in moves for c in move.chunks]
    await _copy(conn, "traces_app_chunk", columns.CHUNK_COLUMNS, rows)


async def _copy_attachments(conn: Connection, attached: list[Any], all_heads: dict[bytes, Head]) -> None:
    if not attached:
        return
    cur = await conn.execute(STORED_ATTACHMENTS, ([a.trace_id.hex() for a in attached],))
    stored = {(bytes(run_id), name) for run_id, name in await cur.fetchall()}
    fresh = {(a.run_id, a.name): a for a in attached if (a.run_id, a.name) not in stored}
    rows = [columns.attachment_row(a, columns.day_number(all_heads[a.trace_id].day)) for a in fresh.values()]
    await _copy(conn, "traces_app_attachment", columns.ATTACHMENT_COLUMNS, rows)


async def _copy(conn: Connection, table: str, names: str, rows: list[bytes]) -> None:
    if not rows:
        return
    async with conn.cursor() as cur, cur.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy:
        await copy.write(b"".join((columns.COPY_HEADER, *rows, columns.COPY_END)))


async def _write_quarantine(conn: Connection, items: list[Quarantined]) -> None:
    if items:
        async with conn.cursor() as cur:
            rows = [(q.digest(), q.door, q.reason, q.item, q.excerpt) for q in items]
            await cur.executemany(ADD_QUARANTINE, sorted(rows))
