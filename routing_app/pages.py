"""What the routing pages show, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count
from django.utils import timezone

from contract.route_for import CORE
from registry_app.models import GraphRecord
from routing_app.models import DispatchRecord, RoutingRevision
from routing_app.selectors import PREVIEW_WINDOW, MovedCalls, live_revision, preview_calls, serving
from routing_app.services.document import Change, PoolFacts, diff
from routing_app.services.draft import base_version, check_draft, draft_content, pool_facts
from routing_app.services.publish import draft_conflicts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routing_app.propagation import Serving
    from routing_app.services.checks import Check

HISTORY = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """One graph in one pool: `mark` is "", listed, added, removed or default."""

    pool: str
    listed: bool
    mark: str


@dataclass(frozen=True, slots=True)
class Row:
    assistant_id: str
    cells: tuple[Cell, ...]
    calls: int
    now: str
    then: str

    @property
    def changed(self) -> bool:
        return self.now != self.then or any(cell.mark in ("added", "removed") for cell in self.cells)


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """Calls of the last day as they ran, and as the draft would have run them."""

    pool: str
    now: int
    then: int

    @property
    def change(self) -> int:
        return self.then - self.now

    @property
    def shown_change(self) -> str:
        return f"{self.change:+,}".replace("-", "\u2212")


@dataclass(frozen=True, slots=True)
class DraftPage:
    """Everything the routing page shows."""

    live: RoutingRevision | None
    base_version: int
    pools: tuple[PoolFacts, ...]
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    conflicts: tuple[Change, ...]
    checks: tuple[Check, ...]
    moved: tuple[MovedCalls, ...]
    loads: tuple[PoolLoad, ...]
    calls: int
    revisions: tuple[RoutingRevision, ...]
    serving: tuple[Serving, ...]

    @property
    def live_version(self) -> int:
        return self.live.version if self.live else 0

    @property
    def next_version(self) -> int:
        return self.live_version + 1

    @property
    def stale(self) -> bool:
        return self.base_version != self.live_version

    @property
    def errors(self) -> int:
        return sum(check.level == "error" for check in self.checks)

    @property
    def moved_calls(self) -> int:
        return sum(item.calls for item in self.moved)

    @property
    def added(self) -> int:
        return sum(change.kind == "added" for change in self.changes)

    @property
    def removed(self) -> int:
        return sum(change.kind == "removed" for change in self.changes)

    @property
    def altered(self) -> int:
        return sum(change.kind == "changed" for change in self.changes)

    @property
    def moves(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.now != row.then)


def draft_page() -> DraftPage:
    """Read all of it; about a dozen queries whatever the number of graphs."""
    live, content, pools = live_revision(), draft_content(), pool_facts()
    document = live.document if live else None
    moved, _ = preview_calls(content)
    calls = _calls()
    return DraftPage(
        live=live,
        base_version=base_version(),
        pools=tuple(pools),
        rows=_rows(document, content, pools, calls),
        changes=tuple(diff(document, content)),
        conflicts=tuple(draft_conflicts()),
        checks=tuple(check_draft()),
        moved=tuple(moved),
        loads=_loads(pools, calls, moved),
        calls=sum(calls.values()),
        revisions=tuple(RoutingRevision.objects.defer("document")[:HISTORY]),
        serving=serving(),
    )


def _rows(
    document: Mapping[str, Any] | None,
    content: Mapping[str, Any],
    pools: list[PoolFacts],
    calls: Mapping[tuple[str, str], int],
) -> tuple[Row, ...]:
    before = _listed(document)
    names = set(GraphRecord.objects.values_list("assistant_id", flat=True))
    names |= {name for pool in pools for name in pool.assistants} | {name for _, name in before}
    rows = []
    for name in sorted(names):
        cells = tuple(_cell(name, pool, before) for pool in pools)
        rows.append(
            Row(
                assistant_id=name,
                cells=cells,
                calls=sum(count for (other, _), count in calls.items() if other == name),
                now=(document or {"graphs": {}})["graphs"].get(name, {}).get("pool", "404"),
                then=content["graphs"].get(name, {}).get("pool", "404"),
            )
        )
    return tuple(rows)


def _cell(name: str, pool: PoolFacts, before: set[tuple[str, str]]) -> Cell:
    listed, was = name in pool.assistants, (pool.slug, name) in before
    mark = {(True, True): "listed", (True, False): "added", (False, True): "removed"}.get((listed, was), "")
    return Cell(pool.slug, listed, mark)


def _listed(document: Mapping[str, Any] | None) -> set[tuple[str, str]]:
    if document is None:
        return set()
    routes = [*document["routes"], document["core"]]
    return {(route["prefix"], name) for route in routes for name in route["assistants"]}


def _calls() -> dict[tuple[str, str], int]:
    rows = (
        DispatchRecord.objects.filter(received_at__gte=timezone.now() - PREVIEW_WINDOW)
        .exclude(assistant_id="")
        .exclude(pool="")
        .order_by()
        .values_list("assistant_id", "pool")
        .annotate(calls=Count("id"))
    )
    return {(name, pool): calls for name, pool, calls in rows}


def _loads(
    pools: list[PoolFacts], calls: Mapping[tuple[str, str], int], moved: list[MovedCalls]
) -> tuple[PoolLoad, ...]:
    slugs = list(dict.fromkeys([CORE, *(pool.slug for pool in pools)]))
    return tuple(
        PoolLoad(
            pool=slug,
            now=(now := sum(count for (_, pool), count in calls.items() if pool == slug)),
            then=now
            + sum(item.calls for item in moved if item.then == slug)
            - sum(item.calls for item in moved if item.now == slug),
        )
        for slug in slugs
    )
