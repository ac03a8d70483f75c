"""The fleet as it stands: what is published of each pool, what its replicas attested, what the dispatcher sees of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from registry_app.models import PoolReport
from routing_app.models import BreakerHold, DrillReport, Pool
from routing_app.probes import dispatcher_state
from routing_app.services.drills import UNFINISHED
from routing_app.services.publish import live_revision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DRILLS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class HoldState:
    """What an operator put over a breaker, and until when."""

    state: str
    reason: str
    held_by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One address of a pool. `breaker` is "" when no dispatcher told; `ok` is None before the first question.

    `hold` is what an operator put over its breaker; the dispatcher has taken it when `breaker` begins with "held".
    """

    url: str
    breaker: str
    ok: bool | None
    error: str
    reported_at: datetime | None
    graphs: int
    graphs_as_published: int
    hold: HoldState | None

    @property
    def takes_calls(self) -> bool:
        """Half-open is not yet: one call is let through to find out."""
        return self.breaker not in ("open", "half-open", "held open") and (
            self.ok is not False or self.breaker == "held closed"
        )


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool of the live document, or one that is only in the draft (`live` False). Counts are None when unknown."""

    slug: str
    live: bool
    replicas: tuple[ReplicaState, ...]
    active: int | None
    limit: int
    queued: int | None
    queue: int
    assistants: int

    @property
    def state(self) -> str:
        if not self.live:
            return "idle"
        taking = [replica.takes_calls for replica in self.replicas]
        if not all(taking):
            return "partial" if any(taking) else "failing"
        known = any(replica.breaker in ("closed", "held closed") for replica in self.replicas)
        return "healthy" if known else "unknown"

    @property
    def in_trouble(self) -> tuple[ReplicaState, ...]:
        """Those that take no calls."""
        return tuple(replica for replica in self.replicas if not replica.takes_calls)


@dataclass(frozen=True, slots=True)
class Fleet:
    """`silence` says why the dispatcher's part is not known; empty when it is."""

    silence: str
    version: int | None
    published: int
    database: str
    records_waiting: int | None
    records_spooled: int | None
    pools: tuple[PoolState, ...]
    drill: DrillReport | None
    drills: tuple[DrillReport, ...]

    @property
    def failing(self) -> tuple[PoolState, ...]:
        return tuple(pool for pool in self.pools if pool.state in ("failing", "partial"))

    @property
    def behind(self) -> bool:
        """Whether the dispatcher has not taken the newest revision."""
        return self.version is not None and self.version != self.published

    @property
    def drill_under_way(self) -> bool:
        return self.drill is not None and self.drill.state in UNFINISHED


def fleet() -> Fleet:
    """Five queries and one call to the dispatcher."""
    told = dispatcher_state(settings.ENV.base_url)
    facts: dict[str, Any] = {} if isinstance(told, str) else told
    live = live_revision()
    routes = _routes(live.document if live else None)
    reports = {(row.pool, row.url): row for row in PoolReport.objects.all()}
    holds = {
        (row.pool, row.url): HoldState(row.state, row.reason, row.held_by, row.until)
        for row in BreakerHold.objects.filter(until__gt=timezone.now())
    }
    entries = live.document["graphs"] if live else {}
    drills = tuple(DrillReport.objects.all()[:DRILLS_SHOWN])
    records = _object(facts, "records")
    slugs = dict.fromkeys([*routes, *Pool.objects.values_list("slug", flat=True)])
    return Fleet(
        silence=told if isinstance(told, str) else "",
        version=facts.get("routing_version"),
        published=live.version if live else 0,
        database=str(facts.get("database", "")),
        records_waiting=records.get("waiting"),
        records_spooled=records.get("spooled"),
        pools=tuple(
            _pool(slug, routes.get(slug), _object(_object(facts, "pools"), slug), reports, holds, entries)
            for slug in slugs
        ),
        drill=drills[0] if drills else None,
        drills=drills,
    )


def _pool(
    slug: str,
    route: Mapping[str, Any] | None,
    seen: Mapping[str, Any],
    reports: Mapping[tuple[str, str], PoolReport],
    holds: Mapping[tuple[str, str], HoldState],
    entries: Mapping[str, Any],
) -> PoolState:
    if route is None:
        return PoolState(slug, False, (), None, 0, None, 0, 0)
    breakers = seen.get("breakers") or []
    wanted = {name: entry["graph_digest"] for name, entry in entries.items() if entry["pool"] == slug}
    replicas = tuple(
        _replica(
            url,
            breakers[at] if at < len(breakers) else "",
            reports.get((slug, url.rstrip("/"))),
            holds.get((slug, url)),
            wanted,
        )
        for at, url in enumerate(route["urls"])
    )
    return PoolState(
        slug=slug,
        live=True,
        replicas=replicas,
        active=seen.get("active"),
        limit=route["limits"]["concurrency"],
        queued=seen.get("queued"),
        queue=route["limits"]["queue"],
        assistants=len(wanted),
    )


def _replica(
    url: str, breaker: str, report: PoolReport | None, hold: HoldState | None, wanted: Mapping[str, str]
) -> ReplicaState:
    attested = report.graphs if report is not None else {}
    return ReplicaState(
        url=url,
        breaker=breaker,
        ok=report.ok if report is not None else None,
        error=report.error if report is not None else "",
        reported_at=report.reported_at if report is not None else None,
        graphs=len(attested),
        graphs_as_published=sum(attested.get(name) == digest for name, digest in wanted.items()),
        hold=hold,
    )


def _routes(document: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    if document is None:
        return {}
    return {route["prefix"]: route for route in [*document["routes"], document["core"]]}


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
