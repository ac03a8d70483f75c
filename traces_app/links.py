"""Who is whose parent: runs and dispatch records to one forest, whatever order they came in.

Everything here depends on the *set* of rows alone: duplicates collapse, ties are broken by content.
No step recurses and none is worse than n log n, so a hostile trace costs no more than a large one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from traces_app.rows import DispatchRow, RunRow

if TYPE_CHECKING:
    from collections.abc import Iterable

_BY_WEIGHT = ("request_id", "x-request-id", "agentic.request_id", "http.request.header.x-request-id")
_REQUEST_NAMES = frozenset(_BY_WEIGHT)
FAR_FUTURE = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Placeholder:
    """Stands for a parent that is named but absent, or for a caller that sends no spans: it has no times of its own."""

    id: str
    trace_id: str
    #: True for a caller that is only known by its request: nothing of it is expected to arrive.
    synthetic: bool = False
    start: None = None
    end: None = None
    pool: None = None
    assistant_id: None = None
    routing_version: None = None


Item = RunRow | DispatchRow | Placeholder


@dataclass(slots=True)
class Forest:
    """Items by node id, each with at most one parent, and what linking noticed on the way."""

    items: dict[str, Item] = field(default_factory=dict)
    #: The items again, by what they are; hops in display order.
    runs: dict[str, RunRow] = field(default_factory=dict)
    hops: dict[str, DispatchRow] = field(default_factory=dict)
    placeholders: dict[str, Placeholder] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    #: Node ids in display order.
    order: list[str] = field(default_factory=list)
    #: Dispatch node id → its pool roots' node ids, and back.
    pool_roots: dict[str, list[str]] = field(default_factory=dict)
    hop_of: dict[str, str] = field(default_factory=dict)
    #: Nodes whose parent link closed a cycle and was cut → the parent they named.
    cut: dict[str, str] = field(default_factory=dict)
    #: Run ids that arrived with two different identities → the traces or names they claimed.
    conflicts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self, node_id: str | None) -> RunRow | None:
        return self.runs.get(node_id) if node_id else None

    def hop(self, node_id: str | None) -> DispatchRow | None:
        return self.hops.get(node_id) if node_id else None


def link(runs: Iterable[RunRow], dispatches: Iterable[DispatchRow]) -> Forest:
    """One forest of everything given; an action's rows normally make one tree."""
    forest = Forest()
    _collect(forest, runs, dispatches)
    index = _Index(forest)
    _claim_pool_roots(forest, index)
    _choose_parents(forest, index)
    _park_placeholders(forest, index)
    _cut_cycles(forest)
    _arrange(forest)
    return forest


def _collect(forest: Forest, runs: Iterable[RunRow], dispatches: Iterable[DispatchRow]) -> None:
    for run in runs:
        known = forest.runs.get(run.run_id)
        if known is None:
            forest.runs[run.run_id] = run
        elif known is not run and known != run:
            forest.runs[run.run_id] = max(known, run, key=_weight)
            if run.source == known.source and _identity(known) != _identity(run):
                claims = {f"{one.name or 'run'} in trace {one.trace_id}" for one in (known, run)}
                claims.update(forest.conflicts.get(run.run_id, ()))
                forest.conflicts[run.run_id] = tuple(sorted(claims))
    hops: dict[str, DispatchRow] = {}
    for record in dispatches:
        known_hop = hops.get(record.id)
        hops[record.id] = record if known_hop is None else max(known_hop, record, key=_hop_weight)
    forest.hops = {(one if one not in forest.runs else f"dispatch:{one}"): hop for one, hop in hops.items()}
    forest.items = {**forest.runs, **forest.hops}


def _identity(run: RunRow) -> tuple[str, str, datetime | None]:
    return run.trace_id, run.name, run.start


def _weight(run: RunRow) -> tuple[bool, bool, bool, str]:
    """The fuller of two copies of one run wins; the text breaks ties by content, not by arrival."""
    return run.end is not None, run.source == "langsmith", bool(run.metadata), repr(run)


def _hop_weight(record: DispatchRow) -> tuple[bool, bool, str]:
    return record.ended_at is not None, bool(record.run_id), repr(record)


class _Index:
    """Look-ups by the other names of a run."""

    def __init__(self, forest: Forest) -> None:
        self.spans: dict[tuple[str, str], str] = {}
        self.trace_roots: dict[str, str] = {}
        self.requests: dict[str, str] = {}
        self.run_ids = sorted(forest.runs)
        self.hops = sorted(
            forest.hops.items(), key=lambda hop: (hop[1].method != "POST", hop[1].received_at, hop[0])
        )
        self.dispatch_nodes = {hop.id: node_id for node_id, hop in self.hops}
        for node_id in self.run_ids:
            self._add_run(node_id, forest.runs[node_id])

    def _add_run(self, node_id: str, run: RunRow) -> None:
        if run.w3c_trace_id and run.w3c_span_id:
            self.spans.setdefault((run.w3c_trace_id, run.w3c_span_id), node_id)
        if run.run_id == run.trace_id or (run.source == "otlp" and not run.w3c_parent_id):
            self.trace_roots.setdefault(run.trace_id, node_id)
        request = "" if run.dispatch_id else caller_request_id(run)
        if request:
            self.requests.setdefault(request, node_id)


def caller_request_id(run: RunRow) -> str:
    """The `x-request-id` a caller noted on its own span, the join that survives stripped headers."""
    noted = run.metadata
    if _REQUEST_NAMES.isdisjoint(noted):
        return ""
    values = (noted.get(name) for name in _BY_WEIGHT)
    return next((value for value in values if isinstance(value, str) and value), "")


def _claim_pool_roots(forest: Forest, index: _Index) -> None:
    """A pool's root run belongs under its hop, whatever parent it claims itself."""
    for node_id, record in index.hops:
        run = forest.run(record.run_id.lower()) if record.run_id else None
        if run is not None and run.run_id not in forest.hop_of:
            _claim(forest, node_id, run.run_id)
    minted = {hop.w3c_trace_id: node_id for node_id, hop in reversed(index.hops) if hop.w3c_minted}
    by_run_id = {hop.run_id: node_id for node_id, hop in reversed(index.hops) if hop.run_id}
    for node_id in index.run_ids:
        if node_id in forest.hop_of:
            continue
        run = forest.runs[node_id]
        hop = index.dispatch_nodes.get(run.dispatch_id) if run.dispatch_id else None
        if hop is None and run.parent_run_id in forest.runs:
            continue  # most rows: nobody claims them
        parent = forest.run(_own_parent(forest, index, run))
        if hop is not None and _enters_pool(run, parent, forest.hop(hop)):
            _claim(forest, hop, node_id)
        elif hop is None and parent is None:
            attested = by_run_id.get(str(run.metadata.get("langsmith.run_id", "")))
            hop = attested or minted.get(run.w3c_trace_id or "")
            if hop is not None:
                _claim(forest, hop, node_id)


def _enters_pool(run: RunRow, parent: RunRow | None, hop: DispatchRow | None) -> bool:
    """Topmost of its dispatch: no parent, one outside the dispatch, or the one the headers named."""
    if parent is not None:
        return parent.dispatch_id != run.dispatch_id
    sent = (hop.ls_parent_run_id.lower(), hop.w3c_parent_id) if hop else ()
    return not (run.parent_run_id or run.w3c_parent_id) or bool(
        {run.parent_run_id, run.w3c_parent_id} & {one for one in sent if one}
    )


def _claim(forest: Forest, hop_id: str, run_id: str) -> None:
    forest.hop_of[run_id] = hop_id
    forest.pool_roots.setdefault(hop_id, []).append(run_id)


def _own_parent(forest: Forest, index: _Index, run: RunRow) -> str | None:
    """The stored parent a run names itself, by run id or by span id."""
    if run.parent_run_id in forest.runs:
        return run.parent_run_id
    if run.w3c_trace_id and run.w3c_parent_id:
        return index.spans.get((run.w3c_trace_id, run.w3c_parent_id))
    return None


def _choose_parents(forest: Forest, index: _Index) -> None:
    for run_id, run in forest.runs.items():
        forest.parents[run_id] = _run_parent(forest, index, run_id, run)
    for hop_id, hop in forest.hops.items():
        forest.parents[hop_id] = _hop_parent(forest, index, hop)


def _run_parent(forest: Forest, index: _Index, node_id: str, run: RunRow) -> str | None:
    if node_id in forest.hop_of:
        return forest.hop_of[node_id]
    parent = _own_parent(forest, index, run)
    if parent is not None:
        return parent
    if run.parent_run_id or run.w3c_parent_id:
        absent = run.parent_run_id or f"{run.w3c_trace_id}-{run.w3c_parent_id}"
        return _placeholder(forest, f"missing:{absent}", run.trace_id)
    return None


def _hop_parent(forest: Forest, index: _Index, hop: DispatchRow) -> str | None:
    caller = hop.ls_parent_run_id.lower()
    if caller and forest.run(caller):
        return caller
    span = index.spans.get((hop.w3c_trace_id, hop.w3c_parent_id))
    if span is not None:
        return span
    noted = index.requests.get(hop.request_id) if hop.request_id else None
    if noted is not None:
        return noted
    if caller:
        return _placeholder(forest, f"missing:{caller}", hop.ls_trace_id or caller)
    shared = hop.w3c_trace_id if hop.w3c_parent_id else ""
    name = shared or hop.request_id or hop.id
    return _placeholder(forest, f"caller:{name}", name, synthetic=True)


def _placeholder(forest: Forest, node_id: str, trace_id: str, *, synthetic: bool = False) -> str:
    known = forest.placeholders.get(node_id)
    if known is None:
        forest.items[node_id] = forest.placeholders[node_id] = Placeholder(node_id, trace_id, synthetic)
        forest.parents[node_id] = None
    elif trace_id < known.trace_id:
        known.trace_id = trace_id  # two children disagree: take one by content, not by arrival
    return node_id


def _park_placeholders(forest: Forest, index: _Index) -> None:
    """A lost parent hangs where it was last heard of, so that one action stays one tree.

    That is under the hop of the rows that name it, else under the root of its trace.
    """
    if not forest.placeholders:
        return
    lost = [item for item in forest.placeholders.values() if not item.synthetic]
    hops = _hops_below(forest, index)
    by_trace: dict[str, list[Placeholder]] = {}
    for item in lost:
        hop_id = hops.get(item.id)
        hop = forest.hop(hop_id)
        if hop_id is None or hop is None:
            by_trace.setdefault(item.trace_id, []).append(item)
        elif item.id == f"missing:{hop.run_id}":
            _claim(forest, hop_id, item.id)
    for item_id, hop_id in hops.items():
        is_root = item_id in forest.hop_of
        forest.parents[item_id] = hop_id if is_root else min(forest.pool_roots.get(hop_id, [hop_id]))
    for trace_id, absent in sorted(by_trace.items()):
        _park_in_trace(forest, index, trace_id, absent)


def _park_in_trace(forest: Forest, index: _Index, trace_id: str, absent: list[Placeholder]) -> None:
    root = index.trace_roots.get(trace_id)
    if root is None and len(absent) > 1:
        root = _placeholder(forest, f"missing:{trace_id}", trace_id)
    for item in absent:
        if root is not None and item.id != root:
            forest.parents[item.id] = root


def _hops_below(forest: Forest, index: _Index) -> dict[str, str]:
    """Placeholder id → the hop its rows ran under, the least one when they differ."""
    found: dict[str, str] = {}
    for node_id, run in forest.runs.items():
        hop, parent = index.dispatch_nodes.get(run.dispatch_id or ""), forest.parents[node_id]
        if hop and parent and parent in forest.placeholders:
            found[parent] = min(found.get(parent, hop), hop)
    return found


def _cut_cycles(forest: Forest) -> None:
    """Cut each ring of parents once, at its earliest member."""
    done: set[str] = set()
    for start, above in forest.parents.items():
        if above is None or above in done:
            done.add(start)
            continue
        path: list[str] = []
        seen: set[str] = set()
        at: str | None = start
        while at is not None and at not in done and at not in seen:
            seen.add(at)
            path.append(at)
            at = forest.parents.get(at)
        if at is not None and at in seen:
            ring = path[path.index(at) :]
            first = min(ring, key=lambda node_id: sort_key(forest, node_id))
            forest.cut[first] = forest.parents[first] or ""
            forest.parents[first] = None
        done.update(path)


def sort_key(forest: Forest, node_id: str) -> tuple[datetime, str]:
    """Siblings are shown by start; what never said when it began comes last."""
    return forest.items[node_id].start or FAR_FUTURE, node_id


def _arrange(forest: Forest) -> None:
    """Children by start, and every node in display order."""
    for node_id, parent in forest.parents.items():
        if parent is None:
            forest.roots.append(node_id)
        else:
            forest.children.setdefault(parent, []).append(node_id)
    keys = _arrival_keys(forest)
    for siblings in (forest.roots, *forest.children.values()):
        siblings.sort(key=keys.__getitem__)
    stack = list(reversed(forest.roots))
    while stack:
        node_id = stack.pop()
        forest.order.append(node_id)
        stack.extend(reversed(forest.children.get(node_id, ())))
    if forest.hops:
        place = {node_id: at for at, node_id in enumerate(forest.order)}
        forest.hops = dict(sorted(forest.hops.items(), key=lambda hop: place[hop[0]]))


def _arrival_keys(forest: Forest) -> dict[str, tuple[datetime, str]]:
    """Sort keys in which a placeholder counts from its earliest child."""
    keys = {node_id: (item.start or FAR_FUTURE, node_id) for node_id, item in forest.items.items()}
    for node_id in forest.children:
        if node_id in forest.placeholders:
            starts = [keys[child][0] for child in forest.children[node_id]]
            keys[node_id] = (min(starts), node_id)
    return keys
