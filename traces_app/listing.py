"""Reads beside the list of actions, all under its filter: neighbours, newer actions, volume and latency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import timezone

from traces_app import filter_sql
from traces_app.actions import PART_OF_ANOTHER, condition, edge, newest, reading, up_to
from traces_app.filters import FilterError, parse
from traces_app.selectors import read_cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traces_app.filters import Term

#: The strips cover this long, or what the newest actions cover when there are more than these.
STRIP_WINDOW = timedelta(hours=24)
STRIP_ACTIONS = 20_000
STRIP_BUCKETS = 72
#: Upper ends of the latency rows, seconds; the last row holds the rest.
LATENCY_ENDS = (0.3, 1.0, 3.0, 10.0, 30.0)
HELD_SHOWN = 99

_PLACE = f"""
SELECT seen_at, trace_id FROM (
    SELECT h.seen_at, h.trace_id, {PART_OF_ANOTHER}::int AS rank FROM traces_app_tracehead h
    WHERE h.trace_id = ANY(%(ids)s::uuid[])
    UNION ALL SELECT d.received_at, d.id, 2 FROM routing_app_dispatchrecord d WHERE d.id = ANY(%(ids)s::uuid[])
) place ORDER BY rank, seen_at LIMIT 1
"""  # noqa: S608
_BOUND = " AND (h.seen_at, h.trace_id) {sign} (%s, %s)"
_STRIP = """
WITH newest AS MATERIALIZED ({newest})
SELECT floor(extract(epoch FROM seen_at - %s) / %s)::int, width_bucket(seconds, %s), status, count(*), sum(cost)
FROM newest
GROUP BY 1, 2, 3
"""
_QUANTILES = """
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) FROM ({newest}) newest
"""
_STRIP_COLUMNS = "h.seen_at, h.trace_id, h.status, h.cost, extract(epoch FROM h.ended_at - h.started_at)::float8 AS seconds"


@dataclass(frozen=True, slots=True)
class Strip:
    """Actions by time. `columns` run from the oldest; each counts all, failed, and by row of latency."""

    since: datetime
    until: datetime
    columns: tuple[Column, ...]
    #: Seconds at p50, p95 and p99; None when no action has ended.
    quantiles: tuple[float | None, float | None, float | None]
    #: True when the window holds more actions than were counted.
    cut: bool

    @property
    def width(self) -> timedelta:
        """How long one column is."""
        return (self.until - self.since) / len(self.columns)

    @property
    def actions(self) -> int:
        return sum(column.actions for column in self.columns)

    @property
    def cost(self) -> Decimal:
        return sum((column.cost for column in self.columns), Decimal(0))

    @property
    def failed(self) -> int:
        return sum(column.failed for column in self.columns)


@dataclass(frozen=True, slots=True)
class Column:
    start: datetime
    actions: int
    failed: int
    #: Ended actions by row of latency, the fastest first; one more entry than `LATENCY_ENDS`.
    by_latency: tuple[int, ...]
    #: US dollars.
    cost: Decimal = Decimal(0)


def neighbours(ids: Sequence[str], q: str = "") -> tuple[str | None, str | None]:
    """The actions above and below that of these traces or records in the list that `q` cuts.

    (None, None) when `q` cannot be read.
    """
    try:
        return _neighbours(ids, parse(q))
    except FilterError:
        return None, None


def _neighbours(ids: Sequence[str], terms: Sequence[Term]) -> tuple[str | None, str | None]:
    where = condition(terms)
    with reading(where) as cursor:
        cursor.execute(_PLACE, {"ids": list(ids)})
        place = cursor.fetchone()
        if place is None:
            return None, None
        queries, given = [], []
        for sign, upwards in ((">", True), ("<", False)):
            bounds: filter_sql.Clause = (_BOUND.format(sign=sign), list(place))
            if filter_sql.looks_through(terms):
                bounds = up_to(bounds, edge(cursor, bounds, oldest=upwards), oldest=upwards)
            query, values = newest("h.seen_at, h.trace_id", where, bounds=bounds, limit=1, oldest=upwards)
            queries.append(f"({query})")
            given += values
        cursor.execute(" UNION ALL ".join(queries), given)
        found = {row > place: str(row[1]) for row in cursor.fetchall()}
    return found.get(True), found.get(False)


def newer_than(cursor: str, q: str = "") -> int:
    """How many actions came after the one at the cursor, counted up to one past `HELD_SHOWN`. Raises FilterError."""
    bounds: filter_sql.Clause = (_BOUND.format(sign=">"), list(read_cursor(cursor)))
    terms = parse(q)
    where = condition(terms)
    with reading(where) as cur:
        if filter_sql.looks_through(terms):
            bounds = up_to(bounds, edge(cur, bounds))
        query, values = newest("h.seen_at, h.trace_id", where, bounds=bounds, limit=HELD_SHOWN + 1)
        cur.execute(f"SELECT count(*) FROM ({query}) newer", values)  # noqa: S608
        return int(cur.fetchone()[0])


def strip(q: str = "", *, now: datetime | None = None) -> Strip:
    """Volume and latency of the newest actions under the filter; bounded, whatever is stored. Raises FilterError.

    Parts of an action that arrived as traces of their own are counted one by one here.
    """
    until = now or timezone.now()
    since = until - STRIP_WINDOW
    terms = parse(q)
    where = condition(terms)
    bounds: filter_sql.Clause = (" AND h.seen_at >= %s", [since])
    width = STRIP_WINDOW.total_seconds() / STRIP_BUCKETS
    with reading(where) as cursor:
        last = edge(cursor, bounds) if filter_sql.looks_through(terms) else None
        query, values = newest(
            _STRIP_COLUMNS, where, bounds=up_to(bounds, last), limit=STRIP_ACTIONS, parts=True
        )
        cursor.execute(_STRIP.format(newest=query), [*values, since, width, [-1.0, *LATENCY_ENDS]])
        counted = cursor.fetchall()
        cursor.execute(_QUANTILES.format(newest=query), values)
        quantiles = cursor.fetchone()[0] or (None, None, None)
    cut = last is not None or _total(counted) >= STRIP_ACTIONS
    return Strip(since, until, _columns(counted, since, width), tuple(quantiles), cut)


def _total(counted: Sequence[tuple[int, int | None, int, int, Decimal]]) -> int:
    return sum(row[3] for row in counted)


def _columns(
    counted: Sequence[tuple[int, int | None, int, int, Decimal]], since: datetime, width: float
) -> tuple[Column, ...]:
    actions = [0] * STRIP_BUCKETS
    failed = [0] * STRIP_BUCKETS
    latency = [[0] * (len(LATENCY_ENDS) + 1) for _ in range(STRIP_BUCKETS)]
    cost = [Decimal(0)] * STRIP_BUCKETS
    for at, row, status, count, spent in counted:
        place = min(max(at, 0), STRIP_BUCKETS - 1)
        actions[place] += count
        cost[place] += spent
        failed[place] += count if status == 2 else 0
        if row is not None:
            latency[place][min(max(row - 1, 0), len(LATENCY_ENDS))] += count
    return tuple(
        Column(since + timedelta(seconds=width * at), actions[at], failed[at], tuple(latency[at]), cost[at])
        for at in range(STRIP_BUCKETS)
    )
