"""From the draft's rows to the content of a routing document. Pure: facts in, a mapping out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contract.route_for import CORE, WorkerRoute, route_for
from contract.routing_document import SCHEMA, canonical_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LIMITS = ("concurrency", "queue", "connect_timeout_s", "idle_timeout_s", "total_timeout_s")
_DEFAULT_LIMITS = {
    "concurrency": 64,
    "queue": 128,
    "connect_timeout_s": 2,
    "idle_timeout_s": 60,
    "total_timeout_s": 600,
}


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A pool of the draft, in its place of the order."""

    slug: str
    urls: tuple[str, ...] = ()
    secret_env: str = ""
    enabled: bool = True
    assistants: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=lambda: dict(_DEFAULT_LIMITS))


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """A graph as the records have it."""

    assistant_id: str
    home_pool: str
    enabled: bool = True
    disabled_reason: str = ""
    resumable: bool = False
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    graph_digest: str = ""
    sampling: float | None = None
    timeout_s: float | None = None
    missing: bool = False


def build_content(pools: Sequence[PoolFacts], graphs: Iterable[GraphFacts]) -> dict[str, Any]:
    """A routing document without its envelope (number, digest, time)."""
    routes = [_route(pool) for pool in pools if pool.enabled and pool.slug != CORE]
    core = next((pool for pool in pools if pool.slug == CORE and pool.enabled), PoolFacts(CORE))
    deciders = worker_routes(routes)
    return {
        "schema": SCHEMA,
        "routes": routes,
        "core": _route(core),
        "graphs": {graph.assistant_id: _graph(graph, deciders) for graph in graphs if not graph.missing},
        "sampling": {"default": 1},
    }


def worker_routes(routes: Iterable[Mapping[str, Any]]) -> tuple[WorkerRoute, ...]:
    """Routes to decide with; they carry no secrets."""
    return tuple(
        WorkerRoute(
            prefix=route["prefix"], url=route["url"], secret="", assistants=frozenset(route["assistants"])
        )
        for route in routes
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two documents: where, in words, and both values (None: absent)."""

    path: str
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def shown_before(self) -> str:
        return self._shown(self.before)

    @property
    def shown_after(self) -> str:
        return self._shown(self.after)

    def _shown(self, value: Any) -> str:
        """As an operator says it: an id is listed or not, a switch is on or off, a list is its items."""
        if value is None:
            return ""
        if isinstance(value, bool):
            on, off = ("listed", "") if ".allowlist." in self.path else ("yes", "no")
            return on if value else off
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def diff(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Change]:
    """What changes from one content to the other, by pool and by graph."""
    old, new = flatten(before or {}), flatten(after)
    return [
        Change(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if _text(old.get(path)) != _text(new.get(path))
    ]


def conflicts(
    base: Mapping[str, Any] | None, live: Mapping[str, Any], draft: Mapping[str, Any]
) -> list[Change]:
    """Fields that both the live document and the draft changed since the base, each to something else."""
    theirs = {change.path: change for change in diff(base, live)}
    return [
        Change(change.path, theirs[change.path].after, change.after)
        for change in diff(base, draft)
        if change.path in theirs and _text(theirs[change.path].after) != _text(change.after)
    ]


def moves(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(assistant_id, pool before, pool after) for each graph that another pool would run; "" where it is unknown."""
    old = {name: entry["pool"] for name, entry in (before or {}).get("graphs", {}).items()}
    new = {name: entry["pool"] for name, entry in after.get("graphs", {}).items()}
    return [
        (name, old.get(name, ""), new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    """Path → value at the grain an operator decides on: a field of a pool, one allowlisted id, a field of a graph."""
    flat: dict[str, Any] = {}
    routes = [*content.get("routes", []), *([content["core"]] if "core" in content else [])]
    if routes:
        flat["order"] = [route["prefix"] for route in content.get("routes", [])]
    for route in routes:
        at = f"pools.{route['prefix']}"
        for name in ("urls", "secret_env"):
            flat[f"{at}.{name}"] = route[name]
        flat.update({f"{at}.limits.{name}": value for name, value in route["limits"].items()})
        flat.update({f"{at}.allowlist.{name}": True for name in route["assistants"]})
    for name, entry in content.get("graphs", {}).items():
        flat.update({f"graphs.{name}.{key}": value for key, value in entry.items() if value is not None})
    return flat


def _route(pool: PoolFacts) -> dict[str, Any]:
    return {
        "prefix": pool.slug,
        "url": pool.urls[0] if pool.urls else "",
        "urls": list(pool.urls),
        "secret_env": pool.secret_env,
        "assistants": sorted(pool.assistants),
        "limits": {name: pool.limits[name] for name in LIMITS},
    }


def _graph(graph: GraphFacts, routes: Sequence[WorkerRoute]) -> dict[str, Any]:
    return {
        "pool": route_for(graph.assistant_id, routes).pool,
        "enabled": graph.enabled,
        "reason": "" if graph.enabled else graph.disabled_reason,
        "resumable": graph.resumable,
        "input_schema": dict(graph.input_schema),
        "graph_digest": graph.graph_digest,
        "sampling": graph.sampling,
        "timeout_s": graph.timeout_s,
    }


def _text(value: Any) -> bytes:
    return canonical_bytes({"value": value})
