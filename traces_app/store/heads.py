"""What a commit changes in the row of a trace and in the roll-ups. Pure: parts in, rows out.

The writer holds the lock of every trace it touches, so each run's state before and after is known exactly and
totals are moved by the difference. A replay changes nothing, because it brings no new part.
"""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants of this package alone
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from traces_app.store.labels import kept
from traces_app.store.records import Kind, RunPart, Status
from traces_app.store.sketch import bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from traces_app.store.records import Chunk

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR = 2**62
_MINUTE_US = 60_000_000
_MAX_TAGS = 100
# A member of an enum takes as long to look up as ten names.
_SPAN, _FAILED = Kind.SPAN, Status.ERROR


class Head(msgspec.Struct, kw_only=True):
    """The row of `traces_app_tracehead`; times in microseconds."""

    trace_id: bytes
    day: date
    seen_at: int
    updated_at: int
    root_run_id: bytes | None = None
    root_rank: int = 3
    root_start: int | None = None
    root_end: int | None = None
    name: str = ""
    run_type: str = ""
    source: str = ""
    project: str = ""
    assistant_id: str = ""
    pool: str = ""
    routing_version: int | None = None
    thread_id: str = ""
    status: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    runs: int = 0
    open_runs: int = 0
    errors: int = 0
    llm_runs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal = Decimal(0)
    tags: list[str] = []
    facts: list[str] = []
    retention: str = "base"
    sampled: bool = True
    shed_at: int | None = None


HEAD_COLUMNS = Head.__struct_fields__
_TIMES = ("seen_at", "updated_at", "root_start", "root_end", "started_at", "ended_at", "shed_at")
HEAD_SELECT = ", ".join(
    f"(extract(epoch FROM {c}) * 1000000)::bigint"
    if c in _TIMES
    else f"uuid_send({c})"
    if c in {"trace_id", "root_run_id"}
    else c
    for c in HEAD_COLUMNS
)


_ROLLUP_KEY = "minute, assistant_id, pool, model, routing_version, kind"
_ROLLUP_SUMS = ("runs", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cost")
ADD_ROLLUPS = (
    f"INSERT INTO traces_app_rollup AS r ({_ROLLUP_KEY}, {', '.join(_ROLLUP_SUMS)}, latency)"
    f" SELECT {_ROLLUP_KEY}, {', '.join(_ROLLUP_SUMS)}, latency"
    " FROM json_populate_recordset(null::traces_app_rollup, %s)"
    f" ORDER BY {_ROLLUP_KEY} ON CONFLICT ({_ROLLUP_KEY}) DO UPDATE SET "
    + ", ".join(f"{c} = r.{c} + excluded.{c}" for c in _ROLLUP_SUMS)
    + ", latency = traces_app_sketch_add(r.latency, excluded.latency)"
)


class Change(msgspec.Struct, gc=False):
    """What a commit changes of a trace: its runs as they were stored, and as they are now, each with the part that
    completes its picture; and all parts that made the difference.
    """

    before: list[RunPart]
    after: list[RunPart]
    last: list[RunPart]
    new: list[RunPart]


@lru_cache(maxsize=256)  # a head tells few moments, and some of them twice
def _moment(us: int | None) -> datetime | None:
    return None if us is None else _EPOCH + timedelta(microseconds=us)


def head_from_row(row: tuple[Any, ...]) -> Head:
    """Return the head of one row of `HEAD_SELECT`."""
    values = dict(zip(HEAD_COLUMNS, row, strict=True))
    values["trace_id"] = bytes(values["trace_id"])
    if values["root_run_id"] is not None:
        values["root_run_id"] = bytes(values["root_run_id"])
    return Head(**values)


def head_to_json(head: Head) -> dict[str, Any]:
    """Return the head as `json_populate_recordset` takes it."""
    row = msgspec.structs.asdict(head)
    for name in _TIMES:
        row[name] = _moment(row[name])
    row["trace_id"] = head.trace_id.hex()
    row["root_run_id"] = head.root_run_id.hex() if head.root_run_id else None
    row["cost"] = str(head.cost)
    return row


def apply(
    head: Head, deltas: dict[RollupKey, Totals], change: Change, chunks: Iterable[Chunk], now: int
) -> None:
    """Move the head and the roll-ups by what changes of its runs, and their chunks beside it."""
    head.updated_at = now
    for run in change.before:
        _move(head, deltas, run, -1)
    for run in change.after:
        _move(head, deltas, run, 1)
        if run.start is not None and (head.started_at is None or run.start < head.started_at):
            head.started_at = run.start
        if run.end is not None and (head.ended_at is None or run.end > head.ended_at):
            head.ended_at = run.end
        _move_root(head, run)
    head.tags = sorted(set(head.tags).union(*(c.tags for c in chunks)))[:_MAX_TAGS]
    head.facts = kept(set(head.facts).union(*(c.labels for c in chunks)))


def _move(head: Head, deltas: dict[RollupKey, Totals], run: RunPart, sign: int) -> None:
    _count(deltas, run, sign)
    head.runs += sign
    if run.end is None:
        head.open_runs += sign
    if run.status == _FAILED:
        head.errors += sign
    if run.run_type == "llm":
        head.llm_runs += sign
        _bill(head, run, sign)


def _bill(to: Head | Totals, run: RunPart, sign: int) -> None:
    """Add what an `llm` run used, or take it out. Others are not billed, or an annotated root would count twice."""
    prompt, completion = run.prompt_tokens or 0, run.completion_tokens or 0
    to.prompt_tokens += sign * prompt
    to.completion_tokens += sign * completion
    to.total_tokens += sign * (run.total_tokens or prompt + completion)
    if run.cost is not None:
        to.cost += sign * run.cost


def _move_root(head: Head, run: RunPart) -> None:
    """Make the run the head's root when it ranks before the present one, whichever came first."""
    rank = 0 if run.run_id == run.trace_id else 1 if run.parent_id is None else 2
    if head.root_run_id is not None and head.root_run_id != run.run_id:
        if head.root_rank < rank:
            return
        held = (head.root_rank, _FAR if head.root_start is None else head.root_start, head.root_run_id)
        if held < (rank, _FAR if run.start is None else run.start, run.run_id):
            return
    head.root_run_id, head.root_rank = run.run_id, rank
    head.root_start, head.root_end = run.start, run.end
    head.name, head.run_type, head.status = run.name, run.run_type, run.status
    head.source = "otlp" if run.kind == _SPAN else "langsmith"
    head.project, head.assistant_id, head.pool = run.project, run.assistant_id, run.pool
    head.routing_version, head.thread_id = run.routing_version, run.thread_id


class Totals(msgspec.Struct):
    """The difference a commit makes to one row of the roll-up."""

    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal = Decimal(0)
    #: Runs by the bucket of their duration.
    latency: dict[int, int] = msgspec.field(default_factory=lambda: defaultdict(int))


RollupKey = tuple[int, str, str, str, int, str]


def rollup_losses(runs: Iterable[RunPart]) -> dict[RollupKey, Totals]:
    """Return what the roll-ups lose when the merged runs go."""
    deltas: dict[RollupKey, Totals] = {}
    for run in runs:
        _count(deltas, run, -1)
    return deltas


def says_something(t: Totals) -> bool:
    """Whether the difference is one."""
    return bool(t.errors or t.total_tokens or t.cost or any(t.latency.values()))


def _count(deltas: dict[RollupKey, Totals], run: RunPart, sign: int) -> None:
    """Add a run to its (minute, assistant, pool, model, version, kind), or take it out; only finished ones count."""
    start, end = run.start, run.end
    if start is None or end is None:
        return
    minute = start - start % _MINUTE_US
    key = (minute, run.assistant_id, run.pool, run.model, run.routing_version or 0, _kind(run))
    totals = deltas.get(key)
    if totals is None:
        totals = deltas[key] = Totals()
    totals.latency[bucket_of(end - start)] += sign
    if run.status == _FAILED:
        totals.errors += sign
    if run.run_type == "llm":
        _bill(totals, run, sign)


def _kind(run: RunPart) -> str:
    if run.parent_id is None or run.graph_root:
        return "root"
    return run.run_type if run.run_type in {"llm", "tool"} else "other"


def rollup_to_json(key: RollupKey, t: Totals) -> dict[str, Any]:
    """Return one difference as `json_populate_recordset` takes it."""
    minute, assistant_id, pool, model, version, kind = key
    latency = [0] * (max(t.latency) + 1)
    for bucket, n in t.latency.items():
        latency[bucket] = n
    return {
        "minute": _moment(minute),
        "assistant_id": assistant_id,
        "pool": pool,
        "model": model,
        "routing_version": version,
        "kind": kind,
        "runs": sum(t.latency.values()),
        "errors": t.errors,
        "prompt_tokens": t.prompt_tokens,
        "completion_tokens": t.completion_tokens,
        "total_tokens": t.total_tokens,
        "cost": str(t.cost),
        "latency": latency,
    }


def new_head(trace_id: bytes, day: date, now: int) -> Head:
    """Return the head of a trace seen for the first time."""
    return Head(trace_id=trace_id, day=day, seen_at=now, updated_at=now)
