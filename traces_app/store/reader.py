"""Reads of the trace store, on any psycopg cursor the caller brings (Django's `connection.cursor()` too)."""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants of this package alone
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from traces_app.rows import RunPayload, RunRow, RunStatus
from traces_app.store.columns import PART_SELECT, part_from_row, row_from_part
from traces_app.store.merge import merge_parts
from traces_app.store.pack import opened, unpack
from traces_app.store.records import Kind, RunPart, Status, uuid_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS: dict[int, RunStatus] = {Status.RUNNING: "running", Status.OK: "ok", Status.ERROR: "error"}
_SPAN = int(Kind.SPAN)
_HEX = frozenset("0123456789abcdef")
#: A row of `PART_SELECT`, and the places in it that say where the rest of it lies.
Row = tuple[Any, ...]
_TRACE, _RUN, _CHUNK, _SLOT = 0, 1, 3, 4
#: What chunks hold: (trace, chunk) → one object for each part.
Chunks = dict[tuple[str, int], list[dict[str, Any]]]

PARTS_OF_TRACES = f"SELECT {PART_SELECT} FROM traces_app_runpart p WHERE p.trace_id = ANY(%s::uuid[])"
PARTS_OF_RUNS = f"SELECT {PART_SELECT} FROM traces_app_runpart p WHERE p.run_id = ANY(%s::uuid[])"
FACTS = "SELECT trace_id::text, chunk_id, facts FROM traces_app_chunk WHERE trace_id = ANY(%s::uuid[])"
FACTS_OF_CHUNKS = FACTS + " AND chunk_id = ANY(%s)"
#: Lean rows for `traces_app.outline`, by start.
OUTLINE = (
    "SELECT p.run_id::text, p.parent_id::text, p.status = 2, CASE WHEN p.run_type = 'llm' THEN p.total_tokens END"
    " FROM traces_app_runpart p WHERE p.trace_id = %s ORDER BY p.start_time NULLS LAST, p.run_id LIMIT %s"
)
#: More parts of one trace than this are not looked at.
OUTLINE_PARTS = 400_000
WHOLE_CHUNKS = FACTS_OF_CHUNKS.replace("facts", "facts, payload")
#: How deep, and among how many parts, calls of models are looked for below runs.
_DEPTH, _PARTS_BELOW = 25, 100_000
CALLS_BELOW = f"""
WITH RECURSIVE below (top, trace_id, run_id, run_type, depth) AS (
    SELECT run_id, trace_id, run_id, ''::text, 0 FROM traces_app_runpart WHERE run_id = ANY(%s::uuid[])
    UNION
    SELECT b.top, b.trace_id, p.run_id, p.run_type, b.depth + 1 FROM below b
    JOIN traces_app_runpart p ON p.trace_id = b.trace_id AND p.parent_id = b.run_id AND b.depth < {_DEPTH}
)
SELECT top::text, run_id::text FROM (SELECT * FROM below LIMIT {_PARTS_BELOW}) seen WHERE run_type = 'llm'
"""
_NAMED = "ANY(%(ids)s::uuid[] || ARRAY(SELECT n.trace_id FROM traces_app_runpart n WHERE n.run_id = ANY(%(ids)s::uuid[])))"
PARTS_NAMED = (
    f"SELECT {PART_SELECT} FROM traces_app_runpart p WHERE p.trace_id = {_NAMED}"
    " AND p.trace_id <> ALL(%(but)s::uuid[]) LIMIT %(limit)s"
)
TRACES_OF = f"SELECT h.trace_id::text, h.runs FROM traces_app_tracehead h WHERE h.trace_id = {_NAMED}"


class Cursor(Protocol):
    """What is needed of a cursor."""

    def execute(self, query: Any, params: Any = None) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...
    def fetchone(self) -> Any: ...


def load_runs(cur: Cursor, trace_ids: Iterable[str]) -> list[RunRow]:
    """Return every run of the traces, posts and patches merged, by start and run id."""
    rows = _read(cur, PARTS_OF_TRACES, trace_ids)
    return _runs(rows, _facts(cur, FACTS, rows))


def load_runs_by_id(cur: Cursor, run_ids: Iterable[str]) -> list[RunRow]:
    """Return the runs with these ids that are stored, by start and run id."""
    rows = _read(cur, PARTS_OF_RUNS, run_ids)
    return _runs(rows, _facts(cur, FACTS_OF_CHUNKS, rows, these=True))


def load_named(cur: Cursor, any_ids: Iterable[str], but: Iterable[str], limit: int) -> list[RunRow] | None:
    """Return every run of the traces that run ids, trace ids or W3C trace ids name, but of these traces; None when they have more than `limit` parts."""
    wanted = _uuids(any_ids)
    if not wanted:
        return []
    cur.execute(PARTS_NAMED, {"ids": wanted, "but": list(but), "limit": limit + 1})
    rows = cur.fetchall()
    return None if len(rows) > limit else _runs(rows, _facts(cur, FACTS, rows))


def load_model_calls(cur: Cursor, run_ids: Iterable[str]) -> dict[str, list[RunRow]]:
    """Return the calls of models that the runs made, by the id of the run, by start."""
    cur.execute(CALLS_BELOW, (list(run_ids),))
    above = defaultdict(list)
    for top, call in cur.fetchall():
        above[call].append(top)
    made: dict[str, list[RunRow]] = defaultdict(list)
    for row in load_runs_by_id(cur, above):
        for top in above[row.run_id]:
            made[top].append(row)
    return made


def load_outline(cur: Cursor, trace_id: str) -> Sequence[Any]:
    """Return the lean rows of a trace: (run id, parent's, failed, tokens of an LLM call), by start."""
    cur.execute(OUTLINE, (trace_id, OUTLINE_PARTS))
    return cur.fetchall()


def traces_of(cur: Cursor, any_ids: Iterable[str]) -> dict[str, int]:
    """Return the traces that run ids, trace ids or W3C trace ids (32 hex digits) name, with how many runs each holds."""
    wanted = _uuids(any_ids)
    if not wanted:
        return {}
    cur.execute(TRACES_OF, {"ids": wanted})
    return dict(cur.fetchall())


def _uuids(any_ids: Iterable[str]) -> list[str]:
    """Those of the ids that can be a UUID, as 32 hex digits."""
    digits = (one.lower().replace("-", "") for one in any_ids)
    return [one for one in digits if len(one) == 32 and _HEX.issuperset(one)]


def load_payload(cur: Cursor, run_id: str) -> RunPayload | None:
    """Return inputs, outputs and the other heavy values of one run; None when the run is not stored."""
    return next((payload for _, payload in load_whole(cur, [run_id])), None)


def load_whole(cur: Cursor, run_ids: Iterable[str]) -> list[tuple[RunRow, RunPayload]]:
    """Return the runs with these ids that are stored, each with its heavy values, by start and run id."""
    rows = _read(cur, PARTS_OF_RUNS, run_ids)
    chunks = _chunks(cur, WHOLE_CHUNKS, rows, these=True)
    facts = {(trace, chunk): unpack(bytes(blob)) for trace, chunk, blob, _ in chunks}
    payloads = {(trace, chunk): unpack(bytes(blob)) for trace, chunk, _, blob in chunks}
    parts = [part for of_run in _by_run(rows) for part in _merged(of_run, facts, payloads)]
    runs = [(_run_row(row_from_part(part), part.facts), _payload(part)) for part in parts]
    return sorted(runs, key=lambda run: _by_start(run[0]))


def load_attachment(cur: Cursor, run_id: str, name: str) -> tuple[str, bytes] | None:
    """Return (content type, bytes) of an attachment of a run."""
    cur.execute(
        "SELECT content_type, data FROM traces_app_attachment WHERE run_id = %s AND name = %s", (run_id, name)
    )
    row = cur.fetchone()
    return None if row is None else (row[0], bytes(row[1]))


def _read(cur: Cursor, query: str, ids: Iterable[str]) -> Sequence[Row]:
    wanted = list(ids)
    if not wanted:
        return []
    cur.execute(query, (wanted,))
    return cur.fetchall()


def _facts(cur: Cursor, query: str, rows: Sequence[Row], *, these: bool = False) -> Chunks:
    found = _chunks(cur, query, rows, these=these)
    return {(trace, chunk): unpack(bytes(blob)) for trace, chunk, blob in found}


def _chunks(cur: Cursor, query: str, rows: Sequence[Row], *, these: bool) -> list[Row]:
    """The chunks that hold the rest of the rows; asked for by their traces, or when so said one by one."""
    wanted = {(row[_TRACE], row[_CHUNK]) for row in rows}
    if not wanted:
        return []
    traces = list({trace for trace, _ in wanted})
    cur.execute(query, (traces, list({chunk for _, chunk in wanted})) if these else (traces,))
    return [one for one in cur.fetchall() if one[:2] in wanted]


def _held(chunks: Chunks, row: Row) -> dict[str, Any]:
    """What the chunk of a part says of it; nothing when the chunk is gone."""
    places = chunks.get((row[_TRACE], row[_CHUNK]))
    return places[row[_SLOT]] if places is not None else {}


def _runs(rows: Sequence[Row], facts: Chunks) -> list[RunRow]:
    """The runs of the rows, by start and run id. Most have one part, and are made straight from its row."""
    runs: list[RunRow] = []
    for of_run in _by_run(rows):
        if len(of_run) == 1:
            runs.append(_run_row(of_run[0], _held(facts, of_run[0])))
        else:
            parts = _merged(of_run, facts, {})
            runs += [_run_row(row_from_part(part), part.facts) for part in parts]
    return sorted(runs, key=_by_start)


def _by_start(row: RunRow) -> tuple[datetime, str]:
    return row.start or _EPOCH, row.run_id


def _by_run(rows: Iterable[Row]) -> Iterable[list[Row]]:
    by_run: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_run[row[_RUN]].append(row)
    return by_run.values()


def _merged(rows: Sequence[Row], facts: Chunks, payloads: Chunks) -> list[RunPart]:
    """The parts of one run as one; as several when it was begun more than once."""
    parts = [part_from_row(row) for row in rows]
    for part, row in zip(parts, rows, strict=True):
        part.facts, part.payload = _held(facts, row), _held(payloads, row)
    return [merge_parts(of_one) for of_one in _copies(parts)]


def _copies(parts: list[RunPart]) -> list[list[RunPart]]:
    """The parts of one run id, apart when it was begun more than once: in another trace, name or instant.

    A patch that repeats name and start belongs to the one it names; one that does not may mean any of its trace.
    """
    begun: dict[tuple[bytes, str, int | None], list[RunPart]] = defaultdict(list)
    for part in parts:
        if part.kind == Kind.POST:
            begun[part.trace_id, part.name, part.start].append(part)
    if len(begun) < 2:
        return [parts]
    shared: list[RunPart] = []
    for part in parts:
        if part.kind != Kind.POST:
            begun.get((part.trace_id, part.name, part.start), shared).append(part)
    return [[*own, *(one for one in shared if one.trace_id == trace)] for (trace, *_), own in begun.items()]


def _run_row(row: Row, held: dict[str, Any]) -> RunRow:
    """Return the run as the rest of the platform sees it, of its row and facts."""
    # fmt: off
    (
        trace_id, run_id, _digest, _chunk_id, _slot, kind, status, version, start, end, first_token,
        parent_id, prompt, completion, total, _graph_root,
        name, run_type, project, assistant_id, pool, thread_id, model, provider, cost,
    ) = row
    # fmt: on
    facts = held.get
    w3c = facts("w3c") or (None, None, None)
    metadata: dict[str, Any] = facts("metadata") or {}
    # By place: thirty names to look up are most of what a row costs.
    # fmt: off
    return RunRow(
        run_id, trace_id, parent_id, name or "", run_type or "chain", "otlp" if kind == _SPAN else "langsmith", project or "",
        start, end, _STATUS[status], facts("error"),
        assistant_id, pool, version,
        _text(metadata.get("agentic.graph_digest")), _text(metadata.get("agentic.dispatch_id")),
        thread_id, model, provider,
        prompt, completion, total, None if cost is None else Decimal(cost),
        tuple(facts("tags") or ()), metadata, w3c[0], w3c[1], w3c[2], tuple(facts("attachments") or ()),
        first_token,
    )
    # fmt: on


def _payload(run: RunPart) -> RunPayload:
    values = run.payload
    if run.kind == Kind.SPAN:  # its attributes are texts, whatever they say
        values = {name: opened(value) for name, value in values.items()}
    extra = values.get("extra")
    metadata = run.facts.get("metadata")
    if metadata:
        extra = {**(extra or {}), "metadata": metadata}
    return RunPayload(
        inputs=values.get("inputs"),
        outputs=values.get("outputs"),
        events=values.get("events"),
        extra=extra,
        error=run.facts.get("error"),
        serialized=values.get("serialized"),
        dotted_order=run.facts.get("dotted_order"),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def valid_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual form."""
    try:
        uuid_bytes(text)
    except ValueError:
        return False
    return True
