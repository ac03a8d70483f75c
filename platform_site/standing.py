"""What home says beside its tiles: findings, stalled runs, stitch rate, the send ledger. Every read is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from campaigns_app import ledger, selectors
from campaigns_app.models import Touch
from traces_app.models import StoredFinding, TraceHead
from traces_app.stitch import STALL_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

T = TypeVar("T")

#: The stitch rate is that of this many of the newest calls, which have had `SETTLED` for their spans to arrive.
STITCHED_OF = 1_000
SETTLED = timedelta(seconds=30)
STITCH_GOAL = 0.995
FINDINGS_SHOWN = 4
#: An action that began before these days is not looked for.
LOOKED_BACK_DAYS = 7
#: What reads a thousand rows or every touch is worked out anew this often at most, in seconds.
KEPT_S = 30

_STITCHED = """
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT 1 FROM traces_app_runpart p WHERE p.run_id = d.run_id::uuid AND p.day BETWEEN %s AND %s
)) FROM (
    SELECT run_id FROM routing_app_dispatchrecord
    WHERE received_at >= %s AND ended_at < %s AND run_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    ORDER BY received_at DESC LIMIT %s
) d
"""


@dataclass(frozen=True, slots=True)
class Stitched:
    """Of the newest calls, how many have the run they started in the tree."""

    calls: int
    whole: int

    @property
    def rate(self) -> float | None:
        return self.whole / self.calls if self.calls else None

    @property
    def well(self) -> bool:
        return self.rate is None or self.rate >= STITCH_GOAL


@dataclass(frozen=True, slots=True)
class Ledger:
    """The promises about sends, as the campaigns' ledger counts them."""

    promises: tuple[ledger.Invariant, ...]
    sends: int
    #: Answers that came and are not read yet.
    unread: int
    checked_at: datetime

    @property
    def violations(self) -> int:
        return sum(one.count for one in self.promises)


@dataclass(frozen=True, slots=True)
class Standing:
    findings: tuple[StoredFinding, ...]
    open_findings: int
    stalled: int
    stitched: Stitched
    ledger: Ledger


def standing(since: datetime) -> Standing:
    """Three queries, and at most every `KEPT_S` the stitch rate and the ledger."""
    now = timezone.now()
    open_ones = StoredFinding.objects.filter(resolved_at=None).exclude(severity="info")
    stalled = TraceHead.objects.filter(
        open_runs__gt=0, updated_at__lt=now - STALL_AFTER, seen_at__gte=now - timedelta(days=LOOKED_BACK_DAYS)
    )
    return Standing(
        findings=tuple(open_ones.order_by("-last_seen", "-id")[:FINDINGS_SHOWN]),
        open_findings=open_ones.count(),
        stalled=stalled.count(),
        stitched=_kept("home.stitched", lambda: _stitched(since, now)),
        ledger=_kept("home.ledger", _ledger),
    )


def _kept(key: str, work: Callable[[], T]) -> T:
    found: T | None = cache.get(key)
    if found is None:
        found = work()
        cache.set(key, found, KEPT_S)
    return found


def _stitched(since: datetime, now: datetime) -> Stitched:
    days = (now - timedelta(days=LOOKED_BACK_DAYS), now + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute(_STITCHED, [*(day.date() for day in days), since, now - SETTLED, STITCHED_OF])
        return Stitched(*cursor.fetchone())


def _ledger() -> Ledger:
    sends = Touch.objects.filter(status=Touch.Status.SENT).count()
    return Ledger(ledger.invariants(), sends, selectors.unread().count(), timezone.now())
