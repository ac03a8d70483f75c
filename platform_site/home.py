"""What home says: is anything wrong now, where, since when. Reads over the last four hours of calls, by their roll-up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from registry_app.models import PoolReport
from routing_app.models import DispatchRecord, Pool
from traces_app.store import sketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from routing_app.fleet import PoolState

WINDOW = timedelta(hours=4)
RECENT = timedelta(minutes=15)
#: The grain of the roll-up, and the width of a bar.
SLOT = timedelta(minutes=5)
BARS = WINDOW // SLOT
FAILING_SHARE = 0.05
FAILING_CALLS = 3
FAILURES_SHOWN = 8

_FAILED = "(error_kind <> '' OR graph_failed OR status >= 500)"
#: Sums of each bar (bucket is null) and of each step of the latency sketch (slot is null).
_SUMS = """
SELECT pool, slot, bucket, sum(calls)::bigint, sum(failed)::bigint, min(first_failed_at)
FROM routing_app_callrollup WHERE slot >= %s GROUP BY GROUPING SETS ((pool, slot), (pool, bucket))
"""


@dataclass(slots=True)
class Calls:
    """The calls of one pool: (calls, failed, first failure) of each slot that had any, and how long they took."""

    slots: dict[datetime, tuple[int, int, datetime | None]] = field(default_factory=dict)
    latency: list[int] = field(default_factory=lambda: [0] * sketch.BUCKETS)

    def since(self, start: datetime) -> tuple[int, int, datetime | None]:
        """Calls, failures and the first failure of the slots from `start` on."""
        within = [sums for slot, sums in self.slots.items() if slot >= start]
        firsts = [first for _, _, first in within if first is not None]
        return (
            sum(calls for calls, _, _ in within),
            sum(bad for _, bad, _ in within),
            min(firsts, default=None),
        )


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
        return tuple(tile for tile in self.tiles if tile.state in ("failing", "partial"))

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


def home(lanes: Mapping[str, PoolState]) -> Home:
    """Four queries: the calls' roll-up, pools, their reports, latest failures. `lanes`: pools as the dispatcher sees them."""
    now = timezone.now()
    first = first_slot(now)
    calls = _calls(first)
    reports: dict[str, list[PoolReport]] = {}
    for report in PoolReport.objects.all():
        reports.setdefault(report.pool, []).append(report)
    tallest = max((sums[0] for of in calls.values() for sums in of.slots.values()), default=1)
    tiles = tuple(
        _tile(
            pool,
            calls.get(pool.slug, Calls()),
            reports.get(pool.slug, []),
            lanes.get(pool.slug),
            tallest,
            now,
        )
        for pool in Pool.objects.filter(enabled=True)
    )
    failed = DispatchRecord.objects.filter(received_at__gte=first).extra(where=[_FAILED])  # noqa: S610
    _, refused, _ = calls.get("", Calls()).since(first)
    return Home(tiles, tuple(map(_failure, failed[:FAILURES_SHOWN])), refused, now)


def slot_of(moment: datetime) -> datetime:
    """The start of the roll-up's slot that holds the moment."""
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % SLOT


def first_slot(now: datetime) -> datetime:
    """The start of the window: the slot that runs is its last."""
    return slot_of(now) - WINDOW + SLOT


def _calls(first: datetime) -> dict[str, Calls]:
    found: dict[str, Calls] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [first])
        for pool, slot, bucket, calls, failed, first_failed in cursor.fetchall():
            of = found.setdefault(pool, Calls())
            if slot is None:
                of.latency[bucket] = calls
            else:
                of.slots[slot] = (calls, failed, first_failed)
    return found


def _tile(
    pool: Pool, of: Calls, reports: list[PoolReport], lane: PoolState | None, tallest: int, now: datetime
) -> Tile:
    first = first_slot(now)
    calls, errors, _ = of.since(first)
    recent_calls, recent_errors, since = of.since(slot_of(now - RECENT))
    p95 = sketch.quantile(of.latency, 0.95)
    well = sum(report.ok for report in reports) if reports else None
    shut = lane.state if lane is not None and lane.in_trouble else ""
    struck = recent_errors >= FAILING_CALLS and recent_errors / recent_calls >= FAILING_SHARE
    state = "failing" if well == 0 or struck else shut or ("healthy" if calls or well else "idle")
    return Tile(
        slug=pool.slug,
        state=state,
        calls=calls,
        errors=errors,
        error_share=errors / calls if calls else None,
        p95=p95 / 1000 if p95 is not None else None,
        since=since,
        recent_calls=recent_calls,
        recent_errors=recent_errors,
        replicas=len(pool.base_urls),
        replicas_well=well,
        reported_at=max((report.reported_at for report in reports), default=None),
        bars=bars((((slot - first) // SLOT, *sums[:2]) for slot, sums in of.slots.items()), tallest),
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
    """(place, calls, failed) as bars from the bottom; a call is never too small to be seen."""
    drawn = []
    for at, calls, bad in rows:
        height = max(calls / tallest * 100, 4.0)
        bad_height = max(bad / tallest * 100, 6.0) if bad else 0.0
        x = round(min(max(at, 0), BARS - 1) / BARS * 100, 2)
        drawn.append(Bar(x, round(100 - height, 2), round(height, 2), round(100 - bad_height, 2), bad_height))
    return tuple(drawn)
