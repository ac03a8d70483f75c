"""What home says: is anything wrong now, where, since when. Reads over the last four hours of calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from registry_app.models import PoolReport
from routing_app.models import DispatchRecord, Pool

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW = timedelta(hours=4)
RECENT = timedelta(minutes=15)
BUCKETS = 48
FAILING_SHARE = 0.05
FAILING_CALLS = 3
FAILURES_SHOWN = 8

_FAILED = "(error_kind <> '' OR graph_failed OR status >= 500)"
_TOTALS = f"""
SELECT pool, count(*), count(*) FILTER (WHERE {_FAILED}),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY total_ms),
       count(*) FILTER (WHERE received_at >= %(recent)s),
       count(*) FILTER (WHERE received_at >= %(recent)s AND {_FAILED}),
       min(received_at) FILTER (WHERE received_at >= %(recent)s AND {_FAILED})
FROM routing_app_dispatchrecord WHERE received_at >= %(since)s GROUP BY pool
"""  # noqa: S608
_BUCKETS = f"""
SELECT pool, floor(extract(epoch FROM received_at - %(since)s) / %(width)s)::int, count(*),
       count(*) FILTER (WHERE {_FAILED})
FROM routing_app_dispatchrecord WHERE received_at >= %(since)s AND pool <> '' GROUP BY 1, 2
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the volume chart, in per cent of its drawing."""

    x: float
    y: float
    height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True, slots=True)
class Tile:
    """One pool. Figures are None when no call was made: unknown is not zero."""

    slug: str
    state: str
    calls: int
    errors: int
    error_share: float | None
    p95: float | None
    since: datetime | None
    recent_calls: int
    recent_errors: int
    replicas: int
    replicas_well: int | None
    reported_at: datetime | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call of the list."""

    received_at: datetime
    request_id: str
    caller: str
    assistant_id: str
    pool: str
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Home:
    tiles: tuple[Tile, ...]
    failures: tuple[Failure, ...]
    refused: int
    now: datetime

    @property
    def failing(self) -> tuple[Tile, ...]:
        return tuple(tile for tile in self.tiles if tile.state == "failing")

    @property
    def calls(self) -> int:
        return sum(tile.calls for tile in self.tiles)

    @property
    def failed(self) -> int:
        return sum(tile.errors for tile in self.tiles)

    @property
    def failure_count(self) -> int:
        """What the list of failures is of: calls that failed in a pool, and those refused before one."""
        return self.failed + self.refused


def home() -> Home:
    """Five queries: pools, their reports, totals, buckets, latest failures."""
    now = timezone.now()
    since = now - WINDOW
    parameters: dict[str, datetime | float] = {
        "since": since,
        "recent": now - RECENT,
        "width": WINDOW.total_seconds() / BUCKETS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, parameters)
        totals = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(_BUCKETS, parameters)
        buckets: dict[str, list[tuple[int, int, int]]] = {}
        for pool, at, calls, bad in cursor.fetchall():
            buckets.setdefault(pool, []).append((at, calls, bad))
    reports: dict[str, list[PoolReport]] = {}
    for report in PoolReport.objects.all():
        reports.setdefault(report.pool, []).append(report)
    tallest = max((calls for rows in buckets.values() for _, calls, _ in rows), default=1)
    tiles = tuple(
        _tile(
            pool, totals.get(pool.slug), reports.get(pool.slug, []), bars(buckets.get(pool.slug, []), tallest)
        )
        for pool in Pool.objects.filter(enabled=True)
    )
    failed = DispatchRecord.objects.filter(received_at__gte=since).extra(where=[_FAILED])  # noqa: S610
    refused = totals.get("", (0, 0))[1]
    return Home(tiles, tuple(map(_failure, failed[:FAILURES_SHOWN])), refused, now)


def _tile(
    pool: Pool,
    totals: tuple[int, int, float, int, int, datetime | None] | None,
    reports: list[PoolReport],
    drawn: tuple[Bar, ...],
) -> Tile:
    calls, errors, p95, recent, recent_errors, since = totals or (0, 0, None, 0, 0, None)
    well = sum(report.ok for report in reports) if reports else None
    silent = well == 0
    struck = recent_errors >= FAILING_CALLS and recent_errors / recent >= FAILING_SHARE
    state = "failing" if silent or struck else "healthy" if calls or well else "idle"
    return Tile(
        slug=pool.slug,
        state=state,
        calls=calls,
        errors=errors,
        error_share=errors / calls if calls else None,
        p95=p95 / 1000 if p95 is not None else None,
        since=since,
        recent_calls=recent,
        recent_errors=recent_errors,
        replicas=len(pool.base_urls),
        replicas_well=well,
        reported_at=max((report.reported_at for report in reports), default=None),
        bars=drawn,
    )


def _failure(call: DispatchRecord) -> Failure:
    why = "answered 200 with a failed graph inside" if call.graph_failed else call.error or call.error_kind
    return Failure(
        received_at=call.received_at,
        request_id=call.request_id,
        caller=call.key_name or call.caller or "unknown caller",
        assistant_id=call.assistant_id,
        pool=call.pool,
        why=why or f"status {call.status}",
        seconds=call.total_ms / 1000,
    )


def bars(rows: Iterable[tuple[int, int, int]], tallest: int) -> tuple[Bar, ...]:
    """(bucket, calls, failed) as bars from the bottom; a call is never too small to be seen."""
    drawn = []
    for at, calls, bad in rows:
        height = max(calls / tallest * 100, 4.0)
        bad_height = max(bad / tallest * 100, 6.0) if bad else 0.0
        x = round(min(max(at, 0), BUCKETS - 1) / BUCKETS * 100, 2)
        drawn.append(Bar(x, round(100 - height, 2), round(height, 2), round(100 - bad_height, 2), bad_height))
    return tuple(drawn)
