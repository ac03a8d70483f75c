"""Runs and dispatch records of one action → one tree. Pure: the answer depends on the rows and the clock.

`links.py` decides who is whose parent, this module what each row is, what it cost and how the whole
stands, `diagnose.py` what is wrong with it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from traces_app import billing, diagnose
from traces_app.links import Forest, Item, Placeholder, link
from traces_app.rows import DispatchRow, RunRow
from traces_app.story import tell
from traces_app.tree import Finding, Kind, Missing, Node, NodeStatus, StitchedTree, TreeState

if TYPE_CHECKING:
    from collections.abc import Iterable

#: An open run without any news in its action for this long is called stalled.
STALL_AFTER = timedelta(minutes=15)

KIND_OF_TYPE: dict[str, Kind] = {"llm": "llm", "embedding": "llm", "tool": "tool", "retriever": "tool"}


def stitch(
    runs: Iterable[RunRow],
    dispatches: Iterable[DispatchRow] = (),
    *,
    now: datetime | None = None,
    whole: bool = True,
) -> StitchedTree:
    """The tree of one action. Any order and any repetition of the rows gives the identical tree.

    `now` decides running against stalled; without it, the present moment. `whole=False` says that rows were
    left out on purpose, so that none of them is counted as lost.
    """
    forest = link(runs, dispatches)
    moment = now or datetime.now(UTC)
    kinds = kinds_of(forest)
    statuses = _statuses(forest, kinds, moment)
    missing = _missing(forest, kinds, moment, whole=whole)
    findings = diagnose.diagnose(diagnose.Scene(forest, kinds, statuses, moment))
    nodes = _nodes(forest, kinds, statuses, findings)
    trace_ids = sorted({run.trace_id for run in forest.runs.values()})
    tree = StitchedTree(
        trace_ids=tuple(trace_ids),
        state=_state(forest, statuses, missing, moment),
        missing=missing,
        nodes=nodes,
        roots=tuple(forest.roots),
    )
    return replace(tree, story=tell(forest, nodes))


def is_worker_root(run: RunRow) -> bool:
    """True for what a worker says of itself: our pools, or an Agent Server's run metadata."""
    return bool(run.pool or run.graph_digest or ("graph_id" in run.metadata and "run_id" in run.metadata))


def kinds_of(forest: Forest) -> dict[str, Kind]:
    """Above the first hop everything is the caller's; below a pool root it is a node of the graph."""
    kinds: dict[str, Kind] = {}
    in_pool: set[str | None] = set()
    for node_id in forest.order:
        inside = forest.parents[node_id] in in_pool
        run = forest.runs.get(node_id)
        kind: Kind
        if node_id in forest.hop_of:
            kind = "pool"
        elif run is not None:
            is_root = not inside and is_worker_root(run)
            kind = "pool" if is_root else KIND_OF_TYPE.get(run.run_type, "node" if inside else "caller")
        elif node_id in forest.hops:
            kinds[node_id] = "dispatcher"
            continue
        else:
            kind = "node" if inside or _inside_by_children(forest, node_id) else "caller"
        kinds[node_id] = kind
        if inside or kind in ("pool", "node"):
            in_pool.add(node_id)
    return kinds


def _inside_by_children(forest: Forest, node_id: str) -> bool:
    """A lost parent of graph nodes was itself inside a pool; one of hops was a caller."""
    return any(
        run.pool or run.dispatch_id
        for run in map(forest.run, forest.children.get(node_id, ()))
        if run is not None
    )


def _statuses(forest: Forest, kinds: dict[str, Kind], now: datetime) -> dict[str, NodeStatus]:
    quiet: bool | None = None  # of the whole, asked where something is still open
    ended_under: dict[str | None, bool] = {None: False}
    statuses: dict[str, NodeStatus] = {}
    for node_id in forest.order:
        run, hop = forest.runs.get(node_id), forest.hops.get(node_id)
        over = ended_under[node_id] = ended_under[forest.parents[node_id]] if hop is None else _over(hop, now)
        status = run.status if run else _own_status(forest.items[node_id])
        if status == "running":
            if quiet is None:
                quiet = now - _last_news(forest) > STALL_AFTER
            status = "stalled" if over or quiet else status
        statuses[node_id] = status
    return statuses


def _over(hop: DispatchRow, now: datetime) -> bool:
    """Whether the call ended so long ago that nothing under it can still be at work."""
    return hop.ended_at is not None and now - hop.ended_at > diagnose.FLUSH_GRACE and hop.spans_the_run


def _own_status(item: Item) -> NodeStatus:
    if isinstance(item, Placeholder):
        return "ok" if item.synthetic else "missing"
    if isinstance(item, DispatchRow):
        if item.failed:
            return "error"
        return "running" if item.ended_at is None else "ok"
    return item.status


def _last_news(forest: Forest) -> datetime:
    """The newest instant anything here speaks of, leaving out clocks that are plainly wrong."""
    times = [when for item in forest.items.values() for when in (item.start, item.end) if when is not None]
    return max(diagnose.sane(times), default=datetime.min.replace(tzinfo=UTC) + timedelta(days=1))


def _missing(forest: Forest, kinds: dict[str, Kind], now: datetime, *, whole: bool) -> tuple[Missing, ...]:
    """What is named but absent: parents, pool runs of calls that went through, records of hops."""
    absent: list[Missing] = []
    unknown_hops: dict[str, str] = {}
    counted: dict[str, int] = {}
    known_hops = {hop.id for hop in forest.hops.values()}
    for node_id in forest.order:
        run = forest.runs.get(node_id)
        if run is not None:
            if run.dispatch_id:
                counted[run.dispatch_id] = counted.get(run.dispatch_id, 0) + 1
                if run.dispatch_id not in known_hops and diagnose.settled(run.end, now):
                    unknown_hops[run.dispatch_id] = run.pool or ""
            continue
        hop = forest.hops.get(node_id)
        if hop is None:
            if not forest.placeholders[node_id].synthetic:
                absent.append(Missing(node_id, _source(forest, kinds, node_id), "named as a parent"))
        elif hop.run_id and node_id not in forest.pool_roots and not _flushing(hop, now):
            absent.append(Missing(hop.run_id, hop.pool, "the pool named this run, no span of it came"))
    absent += [
        Missing(hop, "dispatcher", f"the dispatch record {pool} ran under")
        for hop, pool in sorted(unknown_hops.items())
    ]
    return tuple(absent + _uncounted(forest, counted)) if whole else tuple(absent)


def _uncounted(forest: Forest, counted: dict[str, int]) -> list[Missing]:
    """A pool root may close with `agentic.span_count`, the spans its process sent for the call."""
    short = []
    for root_id in sorted(forest.hop_of):
        run = forest.run(root_id)
        total = run.metadata.get("agentic.span_count") if run else None
        if run is not None and run.dispatch_id and isinstance(total, int) and not isinstance(total, bool):
            lost = total - counted.get(run.dispatch_id, 0)
            if 0 < lost < 10_000_000:
                short.append(Missing(root_id, run.pool or "pool", f"sent {total} spans", count=lost))
    return short


def _source(forest: Forest, kinds: dict[str, Kind], node_id: str) -> str:
    if kinds[node_id] == "caller":
        return "caller"
    pools = [run.pool for run in map(forest.run, forest.children.get(node_id, ())) if run and run.pool]
    return min(pools, default="pool")


def _flushing(hop: DispatchRow, now: datetime) -> bool:
    return hop.ended_at is None or now - hop.ended_at <= diagnose.FLUSH_GRACE


def _state(
    forest: Forest, statuses: dict[str, NodeStatus], missing: tuple[Missing, ...], now: datetime
) -> TreeState:
    held = set(statuses.values())
    waiting = any(
        hop.run_id and node_id not in forest.pool_roots and _flushing(hop, now)
        for node_id, hop in forest.hops.items()
    )
    if "running" in held or waiting:
        return "running"
    if "stalled" in held:
        return "stalled"
    return "partial" if missing else "complete"


def _nodes(
    forest: Forest,
    kinds: dict[str, Kind],
    statuses: dict[str, NodeStatus],
    findings: dict[str, list[Finding]],
) -> tuple[Node, ...]:
    bills = billing.roll_up(forest, kinds)
    shifts = _shifts(forest)
    sizes = _sizes(forest)
    depths: dict[str | None, int] = {None: -1}
    pools: dict[str | None, str] = {}
    nodes: list[Node] = []
    for node_id in forest.order:
        item, run = forest.items[node_id], forest.runs.get(node_id)
        parent, kind, bill = forest.parents[node_id], kinds[node_id], bills.get(node_id, billing.NOTHING)
        depth = depths[node_id] = depths[parent] + 1
        above = "" if kind == "caller" else pools.get(parent, "")
        pool = pools[node_id] = item.pool or above
        # By place: to look up twenty-five names would take as long as all the rest.
        # fmt: off
        nodes.append(
            Node(
                node_id, parent, depth, kind, run.name or run.run_type if run else _name(forest, node_id, item),
                item.assistant_id or "", pool,
                statuses[node_id], item.start, item.end, bill.tokens, bill.cost, bill.own_tokens, bill.own_cost,
                run.model or "" if run else "", run.error or "" if run else _error(item), run.run_id if run else None,
                tuple(findings.get(node_id, ())), len(forest.children.get(node_id, ())), sizes[node_id] - 1,
                run.first_token if run else None, shifts.get(node_id, 0.0),
                item.routing_version,
                run.tags if run else (), run.trace_id if run else "",
            )
        )
        # fmt: on
    return tuple(nodes)


def _name(forest: Forest, node_id: str, item: Item) -> str:
    """What a hop or a placeholder is called."""
    if isinstance(item, DispatchRow):
        return f"{item.method} {item.path}" if item.path else "dispatch"
    if isinstance(item, Placeholder) and item.synthetic:
        hops = [hop for hop in map(forest.hop, forest.children.get(node_id, ())) if hop]
        return min((hop.key_name or hop.caller for hop in hops), default="") or "caller"
    return f"missing span {node_id.removeprefix('missing:')[:8]}"


def _error(item: Item) -> str:
    return item.error or item.error_kind if isinstance(item, DispatchRow) else ""


def _sizes(forest: Forest) -> dict[str, int]:
    sizes = dict.fromkeys(forest.order, 1)
    for node_id in reversed(forest.order):
        parent = forest.parents[node_id]
        if parent is not None:
            sizes[parent] += sizes[node_id]
    return sizes


def _shifts(forest: Forest) -> dict[str, float]:
    """Milliseconds that bring a pool whose clock is off into the window of its hop, for its whole subtree."""
    shifts: dict[str, float] = {}
    for node_id in forest.order if forest.hops else ():
        if node_id in forest.hop_of:
            run, hop = forest.run(node_id), forest.hop(forest.hop_of[node_id])
            shift = diagnose.clock_offset_ms(run, hop) if run and hop else 0.0
        elif forest.hop(node_id):
            shift = 0.0
        else:
            shift = shifts.get(forest.parents[node_id] or "", 0.0)
        if shift:
            shifts[node_id] = shift
    return shifts
