"""Reads of routing: what is live, how it differs from the draft, what calls it would move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Count
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.utils import timezone

from contract.route_for import route_for
from registry_app.drift import Drift, Facts, PoolState, RecordState, find_drift
from registry_app.models import GraphRecord, PoolReport
from registry_app.sync import snapshots
from routing_app.models import DispatchRecord, RoutingRevision
from routing_app.propagation import SERVED, Serving, read_name
from routing_app.services.document import build_content, diff, worker_routes
from routing_app.services.draft import graph_facts, pool_facts
from routing_app.services.publish import live_revision, live_summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from routing_app.services.document import PoolFacts

__all__ = [
    "MovedCalls",
    "current_drift",
    "drift_by_subject",
    "live_revision",
    "live_summary",
    "preview_calls",
    "revision",
    "routing_history",
    "serving",
]

HISTORY = 500
PREVIEW_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class MovedCalls:
    """Calls of the last day that another pool would have run; `now` is the pool that ran them."""

    assistant_id: str
    now: str
    then: str
    calls: int


def revision(version: int | None) -> RoutingRevision | None:
    """One revision, the live one for None."""
    return live_revision() if version is None else RoutingRevision.objects.filter(version=version).first()


def serving() -> tuple[Serving, ...]:
    """Which process serves which version, since when, as they say themselves; dispatchers first."""
    with connection.cursor() as cursor:
        cursor.execute(SERVED)
        found = [read_name(name) for (name,) in cursor.fetchall()]
    return tuple(sorted((one for one in found if one), key=lambda one: (one.part, one.process)))


@dataclass(frozen=True, slots=True)
class Move:
    """The revision that brought a graph to a pool; "" when it took the graph out."""

    version: int
    pool: str
    published_at: datetime
    author_name: str
    reason: str


def routing_history(assistant_id: str) -> list[Move]:
    """When a graph moved from pool to pool, newest first, over the last `HISTORY` revisions; one query."""
    rows = (
        RoutingRevision.objects.order_by("-version")
        .annotate(
            pool=KeyTextTransform("pool", KeyTransform(assistant_id, KeyTransform("graphs", "document")))
        )
        .values_list("version", "pool", "published_at", "author_name", "reason")[:HISTORY]
    )
    moves: list[Move] = []
    before = ""
    for version, pool, published_at, author, reason in reversed(rows):
        if (pool or "") != before:
            before = pool or ""
            moves.append(Move(version, before, published_at, author, reason))
    return moves[::-1]


def preview_calls(
    content: Mapping[str, Any], *, window: timedelta = PREVIEW_WINDOW
) -> tuple[list[MovedCalls], int]:
    """What this content would have done with the last day's calls: those it moves, and how many it leaves."""
    rows = (
        DispatchRecord.objects.filter(received_at__gte=timezone.now() - window)
        .exclude(assistant_id="")
        .exclude(pool="")
        .order_by()
        .values_list("assistant_id", "pool")
        .annotate(calls=Count("id"))
    )
    routes = worker_routes(content["routes"])
    moved, unmoved = [], 0
    for name, pool, calls in rows:
        then = _would_run(name, content, route_for(name, routes).pool)
        if then == pool:
            unmoved += calls
        else:
            moved.append(MovedCalls(name, pool, then, calls))
    return sorted(moved, key=lambda item: -item.calls), unmoved


def current_drift() -> list[Drift]:
    """Every disagreement between code, records, draft, live routing and what pools attested."""
    live, pools, records = live_revision(), pool_facts(), list(GraphRecord.objects.all())
    document = live.document if live else None
    return find_drift(
        Facts(
            code={name: (row["spec_digest"], row["graph_digest"]) for name, row in snapshots().items()},
            records=[
                RecordState(
                    row.assistant_id,
                    row.spec_digest,
                    row.graph_digest,
                    row.enabled,
                    row.missing_since is not None,
                )
                for row in records
            ],
            pools=_pool_states(pools),
            live=document,
            unpublished=len(diff(document, build_content(pools, graph_facts(records)))),
        )
    )


def drift_by_subject() -> dict[str, list[Drift]]:
    """The same by graph; what concerns no single graph stands under `draft`."""
    found: dict[str, list[Drift]] = {}
    for item in current_drift():
        found.setdefault(item.subject, []).append(item)
    return found


def _pool_states(pools: Sequence[PoolFacts]) -> list[PoolState]:
    attested: dict[str, dict[str, str]] = {}
    for report in PoolReport.objects.filter(ok=True):
        attested.setdefault(report.pool, {}).update(report.graphs)
    return [PoolState(pool.slug, pool.assistants, attested.get(pool.slug)) for pool in pools if pool.enabled]


def _would_run(name: str, content: Mapping[str, Any], pool: str) -> str:
    """The pool, or why none: an id nobody knows is answered 404, a disabled one 409."""
    entry = content["graphs"].get(name)
    listed = any(name in route["assistants"] for route in (*content["routes"], content["core"]))
    if entry is None and not listed:
        return "refused: unknown"
    if entry is not None and not entry["enabled"]:
        return "refused: disabled"
    return pool
