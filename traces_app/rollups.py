"""Reads of the roll-ups: runs, errors, tokens, cost and latency by what they belong to, exact under sampling."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from django.db import connection
from django.utils import timezone

from traces_app.store.sketch import BUCKETS, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

Dimension = Literal["assistant_id", "pool", "model", "routing_version", "hour", "minute"]
Kind = Literal["root", "llm", "tool", "other"]
WINDOW = timedelta(hours=24)
#: More groups than this are not told, those with the fewest runs first.
GROUPS = 1_000

_EXPRESSIONS = {"hour": "date_trunc('hour', r.minute, 'UTC')"}
_WITHIN = "FROM traces_app_rollup r {join} WHERE r.minute >= %(since)s AND r.minute < %(until)s"
_SUMS = """
SELECT {groups}, coalesce(sum(r.runs) FILTER (WHERE r.kind = %(kind)s), 0)::bigint AS runs,
    coalesce(sum(r.errors) FILTER (WHERE r.kind = %(kind)s), 0)::bigint,
    sum(r.prompt_tokens)::bigint, sum(r.completion_tokens)::bigint, sum(r.total_tokens)::bigint, sum(r.cost)
{within} GROUP BY {groups} ORDER BY runs DESC, {groups} LIMIT %(limit)s
"""
_LATENCIES = """
SELECT {groups}, u.bucket, sum(u.counted)::bigint {within} AND r.kind = %(kind)s AND u.counted <> 0
GROUP BY {groups}, u.bucket
"""
_UNNEST = ", unnest(r.latency) WITH ORDINALITY u (counted, bucket)"


@dataclass(frozen=True, slots=True)
class RollupRow:
    """One group. Runs, errors and latency are of one kind of run; tokens and cost of all, for LLM calls alone spend."""

    group: dict[str, Any]
    runs: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: Decimal
    #: Milliseconds, at most 5 % off; None when no run of the kind ended.
    p50_ms: float | None
    p95_ms: float | None


def rollup(
    *,
    by: Sequence[Dimension],
    kind: Kind = "root",
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[RollupRow, ...]:
    """Finished runs that began from `since` (a day ago) to `until` (now), by the minute, most runs first."""
    now = timezone.now()
    names = tuple(dict.fromkeys(by))
    groups = ", ".join(_EXPRESSIONS.get(name, f"r.{name}") for name in names)
    given = {"since": since or now - WINDOW, "until": until or now, "kind": kind, "limit": GROUPS}
    with connection.cursor() as cursor:
        cursor.execute(_SUMS.format(groups=groups, within=_WITHIN.format(join="")), given)
        sums = cursor.fetchall()
        cursor.execute(_LATENCIES.format(groups=groups, within=_WITHIN.format(join=_UNNEST)), given)
        sketches: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * BUCKETS)
        for *group, bucket, counted in cursor.fetchall():
            sketches[tuple(group)][bucket - 1] = counted
    at = len(names)
    return tuple(
        RollupRow(
            dict(zip(names, row[:at], strict=True)),
            *row[at:],
            *(quantile(sketches[row[:at]], q) for q in (0.5, 0.95)),
        )
        for row in sums
    )
