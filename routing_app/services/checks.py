"""What must hold before a draft goes live, and what an operator should know. Pure: facts in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from contract.route_for import CORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence, Set

    from routing_app.services.document import GraphFacts, PoolFacts


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; an error stops the publication."""

    level: Literal["error", "warning"]
    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a replica said it has: assistant_id → attested digest ("" when it cannot run it)."""

    pool: str
    url: str
    ok: bool
    error: str
    graphs: Mapping[str, str]


def run_checks(
    pools: Sequence[PoolFacts],
    graphs: Sequence[GraphFacts],
    *,
    has_variable: Callable[[str], bool],
    reports: Sequence[Report] = (),
) -> list[Check]:
    """Errors first. `has_variable` tells whether an environment variable is set; its value is never read here."""
    known = {graph.assistant_id for graph in graphs if not graph.missing}
    enabled = [pool for pool in pools if pool.enabled]
    found = [
        *_duplicates(graphs),
        *_in_two_pools(enabled),
        *_unknown(pools, known),
        *_pools(enabled, has_variable),
        *_unplaced(enabled, graphs),
        *_reported(enabled, reports),
    ]
    return sorted(found, key=lambda check: check.level != "error")


def _duplicates(graphs: Sequence[GraphFacts]) -> Iterator[Check]:
    for name, count in Counter(graph.assistant_id for graph in graphs).items():
        if count > 1:
            homes = " and ".join(graph.home_pool for graph in graphs if graph.assistant_id == name)
            yield Check(
                "error", "duplicate_id", f"graphs.{name}", f"{name} is registered {count} times: in {homes}."
            )


def _in_two_pools(pools: Sequence[PoolFacts]) -> Iterator[Check]:
    owners: dict[str, list[str]] = defaultdict(list)
    for pool in pools:
        for name in pool.assistants:
            owners[name].append(pool.slug)
    for name, slugs in sorted(owners.items()):
        if len(slugs) > 1:
            text = f"{name} is on the allowlists of {' and '.join(slugs)}; take it off all but one."
            yield Check("error", "in_two_pools", f"pools.{slugs[-1]}.allowlist.{name}", text)


def _unknown(pools: Sequence[PoolFacts], known: Set[str]) -> Iterator[Check]:
    for pool in pools:
        for name in pool.assistants:
            if name not in known:
                text = f"{pool.slug} lists {name}, which no graph of the code is called."
                yield Check("error", "unknown_id", f"pools.{pool.slug}.allowlist.{name}", text)


def _pools(pools: Sequence[PoolFacts], has_variable: Callable[[str], bool]) -> Iterator[Check]:
    if all(pool.slug != CORE for pool in pools):
        yield Check(
            "error", "no_core", "pools.CORE", "There is no enabled pool CORE, the default of every route."
        )
    for pool in pools:
        at = f"pools.{pool.slug}"
        if not pool.urls:
            yield Check("error", "no_url", f"{at}.base_urls", f"{pool.slug} is enabled but has no base URL.")
        if pool.secret_env and not has_variable(pool.secret_env):
            text = f"The variable {pool.secret_env} is not set in the platform's environment."
            yield Check("error", "no_secret", f"{at}.secret_env", text)
        if not pool.secret_env:
            text = f"{pool.slug} has no secret: whoever reaches its address can run its graphs."
            yield Check("warning", "open_pool", f"{at}.secret_env", text)


def _unplaced(pools: Sequence[PoolFacts], graphs: Sequence[GraphFacts]) -> Iterator[Check]:
    placed = {name for pool in pools for name in pool.assistants}
    for graph in graphs:
        name = graph.assistant_id
        if graph.missing or name in placed:
            continue
        yield Check("warning", "no_pool", f"graphs.{name}", f"No enabled pool lists {name}.")
        if graph.enabled:
            text = f"Calls of {name} would fall through to CORE, which may not have it."
            yield Check("warning", "falls_to_core", f"graphs.{name}", text)


def _reported(pools: Sequence[PoolFacts], reports: Sequence[Report]) -> Iterator[Check]:
    by_url = {(report.pool, report.url): report for report in reports}
    for pool in pools:
        for url in pool.urls:
            report = by_url.get((pool.slug, url))
            if report is None:
                continue
            if not report.ok:
                text = f"{pool.slug} at {url} did not answer: {report.error}"
                yield Check("warning", "unreachable", f"pools.{pool.slug}.base_urls", text)
                continue
            for name in pool.assistants:
                if not report.graphs.get(name):
                    text = f"{pool.slug} at {url} does not serve {name}."
                    yield Check("warning", "not_served", f"pools.{pool.slug}.allowlist.{name}", text)
