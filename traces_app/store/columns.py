"""The columns of a run part, once: how each is written in binary COPY and read back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from traces_app.store.records import Attachment, Chunk, RunPart, uuid_bytes, uuid_text

if TYPE_CHECKING:
    from collections.abc import Sequence

PG_EPOCH_US = 946_684_800_000_000  # 2000-01-01, where PostgreSQL counts from
_PG_EPOCH_DAY = date(2000, 1, 1).toordinal()
_NULL = b"\xff\xff\xff\xff"
_i64 = Struct("!iq").pack
_i32 = Struct("!ii").pack
_TRUE = b"\0\0\0\1\1"
_UUID = b"\0\0\0\x10"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"

_TEXTS = (
    "name",
    "run_type",
    "project",
    "assistant_id",
    "pool",
    "thread_id",
    "model",
    "provider",
)
PART_COLUMNS = (
    "day, trace_id, run_id, digest, chunk_id, slot, kind, status, routing_version, start_time, end_time, first_token,"
    " parent_id, prompt_tokens, completion_tokens, total_tokens, graph_root, " + ", ".join(_TEXTS) + ", cost"
)
#: The same for reading: ids as text and times as they are, which the driver makes itself.
PART_SELECT = (
    "p.trace_id::text, p.run_id::text, p.digest, p.chunk_id, p.slot, p.kind, p.status, p.routing_version,"
    " p.start_time, p.end_time, p.first_token, p.parent_id::text, p.prompt_tokens, p.completion_tokens,"
    " p.total_tokens, p.graph_root, " + ", ".join(f"p.{c}" for c in _TEXTS) + ", p.cost"
)
CHUNK_COLUMNS = "day, trace_id, chunk_id, facts, payload"
ATTACHMENT_COLUMNS = "day, trace_id, run_id, name, content_type, data"

# Everything that is never null, in one go: column count, day, three ids and numbers, each behind its length.
_part_head = Struct("!hiii16si16siqiqiiihih").pack
_chunk_head = Struct("!hiii16siqi").pack
_attachment_head = Struct("!hiii16si16s").pack


def day_number(day: date) -> int:
    """Return the day as PostgreSQL counts it."""
    return day.toordinal() - _PG_EPOCH_DAY


@lru_cache(maxsize=4096)  # but for names of runs, few values stand in these columns
def _text(text: str) -> bytes:
    if not text:
        return _NULL
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw


@lru_cache(maxsize=4096)  # runs of a trace stand in one place, and those of an assistant use few models
def _place(*texts: str) -> bytes:
    return b"".join(map(_text, texts))


def part_row(p: RunPart, day: int) -> bytes:
    """Return the part as one row of binary COPY, in the order of `PART_COLUMNS`."""
    head = _part_head(
        26,
        4,
        day,
        16,
        p.trace_id,
        16,
        p.run_id,
        8,
        p.digest,
        8,
        p.chunk_id,
        4,
        p.slot,
        2,
        p.kind,
        2,
        p.status,
    )
    return b"".join(
        (
            head,
            _NULL if p.routing_version is None else _i32(4, p.routing_version),
            _NULL if p.start is None else _i64(8, p.start - PG_EPOCH_US),
            _NULL if p.end is None else _i64(8, p.end - PG_EPOCH_US),
            _NULL if p.first_token is None else _i64(8, p.first_token - PG_EPOCH_US),
            _NULL if p.parent_id is None else _UUID + p.parent_id,
            _NULL if p.prompt_tokens is None else _i64(8, p.prompt_tokens),
            _NULL if p.completion_tokens is None else _i64(8, p.completion_tokens),
            _NULL if p.total_tokens is None else _i64(8, p.total_tokens),
            _TRUE if p.graph_root else _NULL,
            _text(p.name),
            _place(p.run_type, p.project, p.assistant_id, p.pool, p.thread_id, p.model, p.provider),
            _NULL if p.cost is None else _text(str(p.cost)),
        )
    )


def chunk_row(c: Chunk, day: int) -> bytes:
    """Return the chunk as one row of binary COPY, in the order of `CHUNK_COLUMNS`."""
    head = _chunk_head(5, 4, day, 16, c.trace_id, 8, c.chunk_id, len(c.facts))
    return b"".join((head, c.facts, len(c.payload).to_bytes(4, "big"), c.payload))


def attachment_row(a: Attachment, day: int) -> bytes:
    """Return the attachment as one row of binary COPY, in the order of `ATTACHMENT_COLUMNS`."""
    head = _attachment_head(6, 4, day, 16, a.trace_id, 16, a.run_id)
    data = len(a.data).to_bytes(4, "big") + a.data
    return b"".join((head, _text(a.name), _text(a.content_type or "application/octet-stream"), data))


def part_from_row(row: Sequence[Any]) -> RunPart:
    """Return the part of one row of `PART_SELECT`; facts and payload stay empty."""
    # fmt: off
    (
        trace_id, run_id, digest, chunk_id, slot, kind, status, version, start, end, first_token,
        parent_id, prompt, completion, total, graph_root,
        name, run_type, project, assistant_id, pool, thread_id, model, provider, cost,
    ) = row
    # fmt: on
    # By place: thirty names to look up are most of what a record costs.
    # fmt: off
    return RunPart(
        uuid_bytes(trace_id), uuid_bytes(run_id), kind, digest, {}, {},
        None if parent_id is None else uuid_bytes(parent_id),
        name or "", run_type or "", project or "", _instant(start), _instant(end),
        status, assistant_id or "", pool or "", version, thread_id or "", model or "", provider or "",
        prompt, completion, total, None if cost is None else Decimal(cost),
        _instant(first_token), graph_root is True, chunk_id, slot,
    )
    # fmt: on


def row_from_part(p: RunPart) -> tuple[Any, ...]:
    """Return the row of `PART_SELECT` that a part would be read from."""
    # fmt: off
    return (
        uuid_text(p.trace_id), uuid_text(p.run_id), p.digest, p.chunk_id, p.slot, p.kind, p.status, p.routing_version,
        _time(p.start), _time(p.end), _time(p.first_token),
        None if p.parent_id is None else uuid_text(p.parent_id),
        p.prompt_tokens, p.completion_tokens, p.total_tokens, p.graph_root or None,
        *[text or None for text in (
            p.name, p.run_type, p.project, p.assistant_id, p.pool, p.thread_id, p.model, p.provider,
        )],
        None if p.cost is None else str(p.cost),
    )
    # fmt: on


def _time(at: int | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)


def _instant(at: datetime | None) -> int | None:
    """Microseconds since 1970, as parts have them."""
    return None if at is None else (at - _EPOCH) // _US
