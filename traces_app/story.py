"""The story line of an action: who asked, what was decided, what ran, how it ended, what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traces_app.diagnose import misrouted, sane
from traces_app.tree import Node, NodeStatus, Story

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from traces_app.links import Forest
    from traces_app.rows import DispatchRow

_WORST_FIRST: tuple[NodeStatus, ...] = ("error", "stalled", "running", "ok", "missing")


def tell(forest: Forest, nodes: Sequence[Node]) -> Story:
    """`nodes` are in display order, so the first of a kind is the one to name."""
    hops = list(forest.hops.values())
    pool_rows = [one for one in nodes if one.kind in ("dispatcher", "pool")]
    roots = [one for one in nodes if one.parent_id is None]
    callers = [one.name for one in nodes if one.kind == "caller" and one.status != "missing"]
    return Story(
        caller=_first([hop.key_name or hop.caller for hop in hops] + callers),
        action=_first([*callers[:1], *(one.assistant_id for one in pool_rows), *(one.name for one in roots)]),
        assistants=_each(one.assistant_id for one in pool_rows),
        pools=_each(one.pool for one in pool_rows),
        projects=_each(run.project for one in nodes if (run := forest.runs.get(one.id))),
        routing_versions=tuple(sorted({h.routing_version for h in hops if h.routing_version is not None})),
        routing_digest=hops[0].routing_digest if hops else "",
        executed_graph_digest=hops[0].executed_graph_digest if hops else "",
        request_ids=_each(hop.request_id for hop in hops),
        decided_is_executed=_attested(forest, hops),
        start=min(sane(one.start for one in nodes if one.start), default=None),
        end=max(sane(one.end for one in nodes if one.end), default=None),
        status=_status(forest, nodes, roots),
        errors=sum(one.status == "error" for one in nodes),
        llm_calls=sum(one.kind == "llm" for one in nodes),
        llm_seconds=_covered([(o.start, o.end) for o in nodes if o.kind == "llm" and o.start and o.end]),
        tokens=_total([one.tokens for one in roots]),
        cost=_total_cost([one.cost for one in roots]),
    )


def _status(forest: Forest, nodes: Sequence[Node], roots: Sequence[Node]) -> NodeStatus:
    """How the action ended for its caller: the worst of the topmost rows that really exist.

    A call that was answered 200 with a failed graph inside failed, as lists count it.
    """
    unreal = {one.id for one in roots if one.run_id is None and one.kind != "dispatcher"}
    top = [one for one in roots if one.id not in unreal]
    top += [one for one in nodes if one.parent_id in unreal and one.status != "missing"]
    if any(hop.graph_failed for one in top if (hop := forest.hop(one.id))):
        return "error"
    held = {one.status for one in top}
    for status in _WORST_FIRST:
        if status in held:
            return status
    return "ok"


def _attested(forest: Forest, hops: Sequence[DispatchRow]) -> bool | None:
    """None unless some worker said what it ran."""
    told = [hop for hop in hops if hop.executed_pool or hop.executed_graph_digest]
    verdicts = [not misrouted(hop, None) for hop in told]
    for hop_id, roots in forest.pool_roots.items():
        hop = forest.hop(hop_id)
        runs = [run for run in map(forest.run, roots) if run and (run.pool or run.graph_digest)]
        verdicts += [not misrouted(hop, run) for run in runs if hop]
    return all(verdicts) if verdicts else None


def _first(names: Iterable[str]) -> str:
    return next((name for name in names if name), "")


def _each(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _total(parts: Iterable[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _total_cost(parts: Iterable[Decimal | None]) -> Decimal | None:
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known else None


def _covered(spans: list[tuple[datetime, datetime]]) -> float:
    """Seconds covered by at least one interval: calls side by side count once."""
    seconds = 0.0
    reached: datetime | None = None
    for start, end in sorted(spans):
        begin = start if reached is None or start > reached else reached
        if end > begin:
            seconds += (end - begin).total_seconds()
            reached = end
    return seconds
