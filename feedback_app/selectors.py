"""Reads of feedback: by run, in a list, rolled up with how sure one can be."""

from __future__ import annotations

import math
import re
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from django.db.models import OuterRef, Q, Subquery, Sum

from contract.headers import is_uuid
from feedback_app.models import Delivery, Feedback, FeedbackEvent, FeedbackRollup

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

Dimension = Literal["assistant_id", "prompt_version", "model", "pool", "routing_version"]
#: Two-sided 95 %.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    id: str
    run_id: str
    key: str
    score: float | None
    value: Any
    comment: str
    source: str
    source_event_id: str
    rater: str
    created_at: datetime
    modified_at: datetime
    retracted_at: datetime | None
    #: Whether the run has arrived.
    bound: bool
    #: State of the newest delivery, "" when none was due.
    delivery: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Scores of one key from one kind of source, for one value of a dimension."""

    key: str
    source: str
    group: str
    count: int
    mean: float
    #: 95 % interval: Wilson's for yes or no, the normal one otherwise; None for fewer than two scores.
    low: float | None
    high: float | None


def for_runs(run_ids: Iterable[str | uuid.UUID | None]) -> dict[str, list[FeedbackRow]]:
    """Feedback that stands, by run id, newest first. Ids that are no UUIDs have none."""
    wanted = [one for one in map(str, run_ids) if is_uuid(one)]
    found: dict[str, list[FeedbackRow]] = defaultdict(list)
    if wanted:
        # One text: thousands of parameters, as `__in` makes them, took ten times as long as the query.
        standing = Feedback.objects.filter(retracted_at=None).extra(
            where=["feedback_app_feedback.run_id = ANY(%s::uuid[])"], params=[f"{{{','.join(wanted)}}}"]
        )
        for row in _rows(standing.order_by("-created_at", "pk")):
            found[row.run_id].append(row)
    return dict(found)


def newest_of(trace_ids: Iterable[str], run_ids: Iterable[str], limit: int) -> list[FeedbackRow]:
    """Feedback that stands of the traces, newest first; of these runs of theirs what came just now too."""
    of_trace = Q(trace_id__in=list(trace_ids)) | Q(trace_id=None, run_id__in=list(run_ids))
    return _rows(Feedback.objects.filter(of_trace, retracted_at=None).order_by("-created_at", "pk")[:limit])


def get_row(feedback_id: uuid.UUID) -> FeedbackRow:
    """One row as lists show it. Raises IndexError when there is none."""
    return _rows(Feedback.objects.filter(pk=feedback_id))[0]


def list_feedback(
    *,
    run_id: str = "",
    key: str = "",
    source: str = "",
    group: tuple[Dimension, str] | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[FeedbackRow]:
    """Newest first, retracted rows included; page on with `before` = created_at of the last.

    `group` leaves those that a row of the roll-up by that dimension counts, and what was retracted of them.
    """
    rows = Feedback.objects.all()
    if run_id:
        wanted = _uuid(run_id)
        rows = rows.filter(run_id=wanted) if wanted else rows.none()
    if key:
        rows = rows.filter(key=key)
    if source:
        rows = rows.filter(source=source)
    if group is not None:
        rows = _of_group(rows, *group)
    if before is not None:
        rows = rows.filter(created_at__lt=before)
    return _rows(rows.order_by("-created_at", "id")[: max(1, min(limit, 500))])


def _of_group(rows: QuerySet[Feedback], by: Dimension, value: str) -> QuerySet[Feedback]:
    rows = rows.filter(bound_at__isnull=False, score__isnull=False)
    if by != "routing_version":
        return rows.filter(**{by: value})
    if not value:
        return rows.filter(routing_version=None)
    return rows.filter(routing_version=int(value)) if re.fullmatch(r"\d{1,9}", value) else rows.none()


def history(feedback_id: str) -> list[FeedbackEvent]:
    """Every state the row has had, oldest first."""
    wanted = _uuid(feedback_id)
    return list(FeedbackEvent.objects.filter(feedback_id=wanted)) if wanted else []


def unbound_run_ids(*, turn: int = 0, limit: int = 500) -> list[str]:
    """Runs that feedback waits for: those of the newest, and each turn some others.

    Runs that never come, however many, keep none from being found.
    """
    waiting = Feedback.objects.filter(bound_at=None)
    ids = waiting.order_by("-created_at").values_list("run_id", flat=True)
    begin = turn * limit % max(waiting.count(), 1)
    return list(dict.fromkeys(map(str, [*ids[:limit], *ids[begin : begin + limit]])))


def score_rollup(
    *, by: Dimension, key: str = "", since: datetime | None = None, until: datetime | None = None
) -> list[ScoreRow]:
    """Means of bound scores by the minute; people, models and outcomes are never mixed, raters never averaged away first."""
    rows = FeedbackRollup.objects.filter(**{"key": key} if key else {})
    if since is not None:
        rows = rows.filter(minute__gte=since)
    if until is not None:
        rows = rows.filter(minute__lt=until)
    grouped = rows.values("key", "source", by).order_by("key", "source", by)
    sums = grouped.annotate(
        n=Sum("scored"), total=Sum("score_sum"), squares=Sum("square_sum"), within=Sum("shares")
    )
    return [_score_row(one, by) for one in sums.filter(n__gt=0)]


def _score_row(one: dict[str, Any], by: str) -> ScoreRow:
    count, mean = one["n"], one["total"] / one["n"]
    spread = math.sqrt(max(one["squares"] - mean * one["total"], 0) / max(count - 1, 1))
    low, high = interval(count, float(mean), spread, shares=one["within"] == count)
    return ScoreRow(one["key"], one["source"], str(one[by] or ""), count, float(mean), low, high)


def interval(count: int, mean: float, spread: float, *, shares: bool) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean. Of scores within 0…1 Wilson's (exact for yes or no, wide for the rest)."""
    if count < 2:
        return None, None
    if shares:
        centre = (mean + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
        variance = max(mean * (1 - mean), 0.0) / count
        half = _Z / (1 + _Z**2 / count) * math.sqrt(variance + _Z**2 / (4 * count**2))
        return max(0.0, centre - half), min(1.0, centre + half)
    half = _Z * spread / math.sqrt(count)
    return mean - half, mean + half


def _rows(rows: QuerySet[Feedback]) -> list[FeedbackRow]:
    newest = Delivery.objects.filter(feedback=OuterRef("pk")).order_by("-id").values("state")[:1]
    return [_row(one) for one in rows.annotate(delivery_state=Subquery(newest))]


def _row(one: Any) -> FeedbackRow:
    return FeedbackRow(
        id=str(one.pk),
        run_id=str(one.run_id),
        key=one.key,
        score=one.score,
        value=one.value,
        comment=one.comment,
        source=one.source,
        source_event_id=one.source_event_id,
        rater=one.rater,
        created_at=one.created_at,
        modified_at=one.modified_at,
        retracted_at=one.retracted_at,
        bound=one.bound_at is not None,
        delivery=one.delivery_state or "",
    )


def _uuid(raw: str | uuid.UUID | None) -> uuid.UUID | None:
    try:
        return raw if isinstance(raw, uuid.UUID) else uuid.UUID(str(raw))
    except ValueError:
        return None
