"""Writes feedback rows without Django, so that ingest and the services share one statement.

Idempotent by feedback id: a repeat changes nothing, another value is an edit, and what we
ourselves delivered to our own endpoint (an echo) never overwrites the row it came from.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from platform_site.lib.texts import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

FeedbackSource = Literal["human", "model", "outcome", "api"]
SOURCES: tuple[FeedbackSource, ...] = ("human", "model", "outcome", "api")
#: Metadata of the source that marks a copy sent by `feedback_app.deliver`.
ECHO_MARK = "agentic_delivery"
#: Header of every delivery, since an edit and a removal carry no metadata to mark.
ECHO_HEADER = "x-agentic-feedback-delivery"
KEY_MAX = 180
#: Deeper values could be stored, but not written out again by every reader.
DEPTH_MAX = 100
#: The JSON escape of NUL, not the text of one: jsonb refuses it.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

UPSERT = """
INSERT INTO feedback_app_feedback (
    id, run_id, trace_id, key, score, value, comment, correction, source, source_event_id, rater,
    source_metadata, project, created_at, modified_at, assistant_id, pool, model, prompt_version)
VALUES (
    %(id)s, %(run_id)s, %(trace_id)s, %(key)s, %(score)s, %(value)s::jsonb, %(comment)s,
    %(correction)s::jsonb, %(source)s, %(source_event_id)s, %(rater)s,
    %(source_metadata)s::jsonb, %(project)s, %(created_at)s, %(modified_at)s, '', '', '', '')
ON CONFLICT (id) DO UPDATE SET
    score = EXCLUDED.score, value = EXCLUDED.value, comment = EXCLUDED.comment,
    correction = EXCLUDED.correction, rater = EXCLUDED.rater,
    modified_at = greatest(EXCLUDED.modified_at, feedback_app_feedback.modified_at),
    retracted_at = NULL
WHERE NOT %(echo)s
  AND feedback_app_feedback.run_id = EXCLUDED.run_id AND feedback_app_feedback.key = EXCLUDED.key
  AND feedback_app_feedback.project = EXCLUDED.project
  AND EXCLUDED.modified_at >= feedback_app_feedback.modified_at
  AND (feedback_app_feedback.score, feedback_app_feedback.value, feedback_app_feedback.comment,
       feedback_app_feedback.correction, feedback_app_feedback.retracted_at)
      IS DISTINCT FROM
      (EXCLUDED.score, EXCLUDED.value, EXCLUDED.comment, EXCLUDED.correction, NULL::timestamptz)
RETURNING (xmax = 0) AS created
"""


class FeedbackError(ValueError):
    """A feedback that cannot be stored; `field` names what is wrong."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name}: {message}")
        self.field = field_name
        self.message = message


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One feedback as it came through any door. Ids are UUID strings, times are aware."""

    id: str
    run_id: str
    key: str
    trace_id: str | None = None
    score: float | None = None
    value: Any = None
    comment: str = ""
    correction: Any = None
    source: FeedbackSource = "api"
    source_event_id: str = ""
    rater: str = ""
    source_metadata: Mapping[str, Any] = field(default_factory=dict)
    #: Project of the key that sent it: nobody edits another project's feedback by guessing its id.
    project: str = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None

    @property
    def is_echo(self) -> bool:
        return ECHO_MARK in self.source_metadata


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What feedback of a key is held to: a row of `FeedbackKey`."""

    kind: str
    minimum: float | None
    maximum: float | None
    categories: list[Any]


def check_key(record: FeedbackRecord, rule: KeyRule | None) -> None:
    """Raises FeedbackError naming the field unless the record is as its key's rule wants it."""
    if rule is None:
        return
    key, score = record.key, record.score
    if score is not None:
        if rule.kind == "text":
            raise FeedbackError("score", f"{key} is free text")
        if rule.minimum is not None and score < rule.minimum:
            raise FeedbackError("score", f"{key} is at least {rule.minimum:g}")
        if rule.maximum is not None and score > rule.maximum:
            raise FeedbackError("score", f"{key} is at most {rule.maximum:g}")
        if rule.kind == "boolean" and score not in (0.0, 1.0):
            raise FeedbackError("score", f"{key} is 0 or 1")
    elif record.value is not None and rule.kind in ("boolean", "score"):
        raise FeedbackError("score", f"{key} is {'0 or 1' if rule.kind == 'boolean' else 'a number'}")
    if rule.kind == "category" and record.value not in list(rule.categories):
        raise FeedbackError("value", f"{key} is one of {', '.join(map(str, rule.categories))}")


def record_from_langsmith(body: Any, *, project: str = "", now: datetime | None = None) -> FeedbackRecord:
    """Read the JSON of `POST /feedback` or of a multipart `feedback.*` part.

    Raises FeedbackError naming the field. A body without `run_id` rates the root run of `trace_id`.
    """
    if not isinstance(body, dict):
        raise FeedbackError("feedback", "must be a JSON object")
    now = now or datetime.now(UTC)
    trace_id = parse_uuid(body.get("trace_id"), "trace_id", optional=True)
    run_id = parse_uuid(body.get("run_id"), "run_id", optional=trace_id is not None) or trace_id
    raw_source = body.get("feedback_source")
    source: Mapping[str, Any] = raw_source if isinstance(raw_source, dict) else {}
    metadata = source.get("metadata")
    score = parse_score(body.get("score"))
    return FeedbackRecord(
        id=parse_uuid(body.get("id") or str(uuid.uuid4()), "id") or "",
        run_id=run_id or "",
        trace_id=trace_id,
        key=parse_key(body.get("key")),
        score=score,
        value=parse_value(body.get("value"), "value"),
        comment=clean_text(body.get("comment"), "comment"),
        correction=parse_value(body.get("correction"), "correction"),
        source="model" if source.get("type") == "model" else "api",
        rater=clean_text(source.get("user_name") or source.get("user_id"), "user_name")[:255],
        source_metadata=parse_value(metadata, "metadata") if isinstance(metadata, dict) else {},
        project=project,
        created_at=parse_time(body.get("created_at")) or now,
        modified_at=parse_time(body.get("modified_at")) or now,
    )


def parse_uuid(raw: Any, name: str, *, optional: bool = False) -> str | None:
    if raw is None and optional:
        return None
    try:
        return str(uuid.UUID(str(raw)))
    except ValueError:
        raise FeedbackError(name, "must be a UUID") from None


def parse_key(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise FeedbackError("key", "must be a non-empty string")
    key = raw.strip()
    if len(key) > KEY_MAX or not key.isprintable():
        raise FeedbackError("key", f"must be at most {KEY_MAX} printable characters")
    return key


def parse_score(raw: Any) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool):
        return float(raw)
    if not isinstance(raw, int | float):
        raise FeedbackError("score", "must be a number, true or false")
    try:
        score = float(raw)
    except OverflowError:
        raise FeedbackError("score", "is too large") from None
    if not math.isfinite(score):
        raise FeedbackError("score", "must be finite")
    return score


def parse_value(raw: Any, name: str) -> Any:
    """Any JSON value that is not nested beyond reason."""
    level = [raw]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not level:
            return raw
    raise FeedbackError(name, f"must not be nested more than {DEPTH_MAX} levels deep")


def parse_time(raw: Any) -> datetime | None:
    """ISO text to an aware time; anything else is not known, since clients differ and it is only meta."""
    if not isinstance(raw, str):
        return None
    try:
        when = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def clean_text(raw: Any, name: str) -> str:
    """Return a text as it is stored. Raises `FeedbackError`."""
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise FeedbackError(name, "must be a string")
    return storable(raw)


def _json(value: Any) -> str | None:
    if value is None:
        return None
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise FeedbackError("value", f"is not JSON: {exc}") from None
    return _NUL.sub(r"\1", text).encode("utf-8", "replace").decode("utf-8")


def parameters(record: FeedbackRecord) -> dict[str, Any]:
    """The named parameters of `UPSERT`."""
    now = datetime.now(UTC)
    return {
        "id": record.id,
        "run_id": record.run_id,
        "trace_id": record.trace_id,
        "key": record.key,
        "score": record.score,
        "value": _json(record.value),
        "comment": record.comment,
        "correction": _json(record.correction),
        "source": record.source,
        "source_event_id": record.source_event_id,
        "rater": record.rater,
        "source_metadata": _json(dict(record.source_metadata)),
        "project": record.project,
        "created_at": record.created_at or now,
        "modified_at": record.modified_at or now,
        "echo": record.is_echo,
    }


async def upsert_feedback(
    conn: psycopg.AsyncConnection[Any], records: Iterable[FeedbackRecord]
) -> dict[str, bool]:
    """Store records inside the caller's transaction; returns feedback id → True if new, False if edited.

    Repeats and echoes are left out. Sorted by id, so that two writers never deadlock.
    """
    changed: dict[str, bool] = {}
    async with conn.cursor() as cursor:
        for record in sorted(records, key=lambda one: one.id):
            await cursor.execute(UPSERT, parameters(record))
            row = await cursor.fetchone()
            if row is not None:
                changed[record.id] = bool(row["created"] if isinstance(row, dict) else row[0])
    return changed
