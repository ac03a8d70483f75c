"""The failure catalogue: each detector is a pure function from one action to findings.

A finding says what happened between which two hops, what it caused, and what to do. Detectors speak
only of what is known: where a fault is inferred the sentence says "probably".
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from contract.graph_spec import assistant_uuid
from contract.headers import BAGGAGE_ADDRESS
from traces_app.rows import DispatchRow, RunRow
from traces_app.tree import Finding, Kind, NodeStatus, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from routing_app.probes import RefusedCall
    from traces_app.links import Forest

#: Clients send in batches; this long after a call ended its spans may still be on their way.
FLUSH_GRACE = timedelta(seconds=20)
#: Clocks of one site agree within this; more is skew.
CLOCK_TOLERANCE = timedelta(seconds=1)
_CALLER_LEFT = 499
_SANE_FROM = datetime(2015, 1, 1, tzinfo=UTC)
_SANE_TO = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scene:
    """One action as the detectors see it."""

    forest: Forest
    kinds: Mapping[str, Kind]
    statuses: Mapping[str, NodeStatus]
    now: datetime

    def hops(self) -> Iterable[tuple[str, DispatchRow]]:
        return self.forest.hops.items()

    def calls(self) -> Iterator[tuple[str, DispatchRow, RunRow]]:
        """(pool root's node id, its hop, the root run)."""
        for hop_id, hop in self.hops():
            for node_id in self.forest.pool_roots.get(hop_id, ()):
                run = self.forest.run(node_id)
                if run is not None:
                    yield node_id, hop, run

    def caller_of(self, hop_id: str) -> RunRow | None:
        return self.forest.run(self.forest.parents.get(hop_id))


Found = tuple[str, Finding]


def diagnose(scene: Scene) -> dict[str, list[Finding]]:
    """Every finding of the catalogue, by the node it belongs to."""
    found: dict[str, list[Finding]] = {}
    for detector in DETECTORS:
        for node_id, finding in detector(scene):
            found.setdefault(node_id, []).append(finding)
    return found


def settled(when: datetime | None, now: datetime) -> bool:
    """True once nothing that belongs to `when` can still be on its way."""
    return when is not None and now - when > FLUSH_GRACE


def is_absurd(when: datetime) -> bool:
    return not _SANE_FROM <= when < _SANE_TO


def sane(times: Iterable[datetime]) -> list[datetime]:
    """Those of plausible clocks."""
    return [when for when in times if _SANE_FROM <= when < _SANE_TO]


def standalone_root(scene: Scene) -> Iterator[Found]:
    """The pool began a trace of its own although the caller's headers reached the dispatcher."""
    for node_id, hop, run in scene.calls():
        if run.source == "langsmith" and hop.ls_trace_id and run.trace_id != hop.ls_trace_id:
            header, theirs, sent = "langsmith-trace", run.trace_id, hop.ls_trace_id
        elif run.source == "otlp" and hop.w3c_parent_id and run.w3c_trace_id != hop.w3c_trace_id:
            header, theirs, sent = "traceparent", run.w3c_trace_id or "", hop.w3c_trace_id
        else:
            continue
        yield (
            node_id,
            _finding(
                "standalone-root",
                f"`{header}` reached {hop.pool} and was not adopted, so its run began a trace of its own.",
                f"Both halves are joined here through dispatch record {hop.id[:8]}; nothing is lost.",
                "Serve the graph through `fleet.kit.serve.served`, or leave it: an unmodified Agent Server does this.",
                hop.pool,
                "info",
                header=header,
                sent_trace=sent,
                own_trace=theirs,
                dispatch_id=hop.id,
            ),
        )


def two_traces(scene: Scene) -> Iterator[Found]:
    """The caller was in one W3C trace, the call arrived in another: `traceparent` was stripped."""
    for hop_id, hop in scene.hops():
        caller = scene.caller_of(hop_id)
        if caller is None or not caller.w3c_trace_id or caller.w3c_trace_id == hop.w3c_trace_id:
            continue
        if "traceparent" in hop.dropped_headers:
            continue
        name = hop.caller_name
        yield (
            hop_id,
            _finding(
                "two-traces",
                f"`traceparent` was stripped between {name} and the dispatcher, so this action arrived as two traces.",
                f"Both halves are joined here through dispatch record {hop.id[:8]}.",
                "Let the proxy in between pass `traceparent`, `tracestate` and `baggage`.",
                name,
                caller_trace=caller.w3c_trace_id,
                arrived_trace=hop.w3c_trace_id,
                minted_by_dispatcher=hop.w3c_minted,
                dispatch_id=hop.id,
            ),
        )


def bypass(scene: Scene) -> Iterator[Found]:
    """A worker ran something that no dispatch record knows."""
    for node_id in scene.forest.order:
        if scene.kinds[node_id] != "pool" or node_id in scene.forest.hop_of:
            continue
        run = scene.forest.run(node_id)
        if run is None or run.dispatch_id or not settled(run.end, scene.now):
            continue
        pool = run.pool or "A worker"
        parent = scene.forest.run(scene.forest.parents[node_id])
        name = parent.name if parent else "a caller that sent no headers"
        yield (
            node_id,
            _finding(
                "bypassed-dispatcher",
                f"{pool} was called past the dispatcher by {name}.",
                "No routing decision, key or limit applied to this run, and no proof of route exists.",
                "Call it through `run_graph` or any LangGraph SDK pointed at the platform's address.",
                parent.name if parent else pool,
                "error",
                run_id=run.run_id,
                pool=run.pool or "",
                assistant_id=run.assistant_id or "",
            ),
        )


def misroute(scene: Scene) -> Iterator[Found]:
    """The worker attests another pool or graph than the dispatcher decided."""
    told = set()
    for node_id, hop, run in scene.calls():
        told.add(hop.id)
        yield from _misroute(node_id, hop, run)
    for hop_id, hop in scene.hops():
        if hop.id not in told:
            yield from _misroute(hop_id, hop, None)


def _misroute(node_id: str, hop: DispatchRow, run: RunRow | None) -> Iterator[Found]:
    parted = misrouted(hop, run)
    if not parted:
        return
    what, (decided, executed) = next(iter(parted.items()))
    yield (
        node_id,
        _finding(
            "decided-not-executed",
            f"The dispatcher decided {what} {decided[:16]}, and {hop.pool} ran {executed[:16]}.",
            f"The answer came from something routing version {hop.routing_version} did not choose.",
            "Redeploy the worker from the revision that was published, or publish the routing that matches it.",
            hop.pool,
            "error",
            dispatch_id=hop.id,
            routing_version=hop.routing_version,
            **{f"decided_{name}": pair[0] for name, pair in parted.items()},
            **{f"executed_{name}": pair[1] for name, pair in parted.items()},
        ),
    )


def misrouted(hop: DispatchRow, run: RunRow | None) -> dict[str, tuple[str, str]]:
    """Where decision and attestation part: name → (decided, executed). What is not attested is not compared."""
    assistant = (run.assistant_id if run else None) or ""
    same_assistant = assistant and hop.assistant_id in (assistant, assistant_uuid(assistant))
    facts = {
        "pool": (hop.pool.upper(), ((run.pool if run else None) or hop.executed_pool).upper()),
        "graph": (
            hop.decided_graph_digest,
            (run.graph_digest if run else None) or hop.executed_graph_digest,
        ),
        "assistant": (hop.assistant_id, hop.assistant_id if same_assistant else assistant),
    }
    return {name: pair for name, pair in facts.items() if all(pair) and pair[0] != pair[1]}


def missing_parent(scene: Scene) -> Iterator[Found]:
    """Rows name a parent that never arrived; they are parked under a placeholder."""
    for node_id, item in scene.forest.placeholders.items():
        children = scene.forest.children.get(node_id, [])
        if item.synthetic or not children:
            continue
        ends = [scene.forest.items[child].end for child in children]
        if not any(settled(end, scene.now) for end in ends):
            continue
        source = _sender(scene, node_id)
        absent = node_id.removeprefix("missing:")
        yield (
            node_id,
            _finding(
                "missing-parent",
                f"Span {absent[:8]} of {source} never arrived; {_count(len(children), 'row')} named it as parent.",
                "They are kept under this placeholder and move by themselves when it comes.",
                f"See whether {source} flushes before it exits, samples this span out, or sends it to another endpoint.",
                source,
                parent_id=absent,
                children=len(children),
                trace_id=item.trace_id,
            ),
        )


def _sender(scene: Scene, node_id: str) -> str:
    items = [scene.forest.items[child] for child in scene.forest.children.get(node_id, ())]
    callers = sorted(item.caller_name for item in items if isinstance(item, DispatchRow))
    pools = sorted(item.pool for item in items if isinstance(item, RunRow) and item.pool)
    names = sorted(item.project for item in items if isinstance(item, RunRow) and item.project)
    return next(iter([*callers, *pools, *names]), "the caller")


def duplicate_run(scene: Scene) -> Iterator[Found]:
    """A retry started the graph again although the first attempt had begun, or one run id came twice."""
    for run_id, claims in sorted(scene.forest.conflicts.items()):
        yield (
            run_id,
            _finding(
                "duplicate-run",
                f"Run {run_id[:8]} was sent twice with different identities.",
                f"The fuller copy is shown: {'; '.join(claims[:3])}.",
                "Give every attempt a run id of its own.",
                _run_source(scene.forest.run(run_id)),
                run_id=run_id,
                claims=list(claims[:10]),
            ),
        )
    attempts: dict[tuple[str, str], list[tuple[str, DispatchRow]]] = defaultdict(list)
    for hop_id, hop in scene.hops():
        if hop.method == "POST" and hop.assistant_id:
            attempts[(scene.forest.parents[hop_id] or hop.request_id, hop.assistant_id)].append((hop_id, hop))
    for group in attempts.values():
        yield from _repeats(scene, group)


def _repeats(scene: Scene, group: list[tuple[str, DispatchRow]]) -> Iterator[Found]:
    group.sort(key=lambda one: (one[1].received_at, one[0]))
    for (first_id, first), (again_id, again) in pairwise(group):
        started = bool(first.run_id) or first_id in scene.forest.pool_roots
        same_run = bool(first.run_id) and first.run_id == again.run_id
        # A caller that gave up asks again before the dispatcher has noticed that it left.
        slack = CLOCK_TOLERANCE if first.status == _CALLER_LEFT else timedelta(0)
        retried = first.failed and again.received_at >= (first.ended_at or first.received_at) - slack
        if not (same_run or (started and retried)):
            continue
        yield (
            again_id,
            _finding(
                "duplicate-run",
                f"{again.caller_name} retried `{again.assistant_id}` after the first attempt had started in {first.pool}.",
                f"The graph ran twice: the first attempt ended with {first.error_kind or first.status}.",
                "Make the graph's side effects idempotent, or let the caller retry only what is marked retry-safe.",
                again.caller_name,
                first_dispatch=first.id,
                second_dispatch=again.id,
                first_run=first.run_id,
                second_run=again.run_id,
                request_id=again.request_id,
            ),
        )


def exit_before_flush(scene: Scene) -> Iterator[Found]:
    """Something started and never said that it ended, or was named and never sent a span."""
    for node_id in scene.forest.order:
        if scene.statuses[node_id] != "stalled":
            continue
        run, above = scene.forest.run(node_id), scene.forest.parents[node_id]
        if run is None:
            continue
        if above and scene.statuses[above] == "stalled" and scene.forest.run(above):
            continue  # the topmost one tells it for those below
        source = _run_source(run)
        yield (
            node_id,
            _finding(
                "exit-before-flush",
                f"{source} started `{run.name}` and never said that it ended.",
                "Its process probably ended before its spans were flushed; what came before is kept.",
                "Flush on shutdown (`client.flush()`, `awaitPendingTraceBatches()`), then check the process's exit code.",
                source,
                run_id=run.run_id,
                started=run.start.isoformat() if run.start else "",
            ),
        )
    for hop_id, hop in scene.hops():
        silent = hop.run_id and hop_id not in scene.forest.pool_roots and settled(hop.ended_at, scene.now)
        if silent and not hop.failed:
            yield (
                hop_id,
                _finding(
                    "exit-before-flush",
                    f"{hop.pool} answered run {hop.run_id[:8]} and sent no span of it.",
                    "Its worker probably ended before the flush, or traces to another endpoint.",
                    "See that the worker has `LANGSMITH_TRACING=true` and this platform as `LANGSMITH_ENDPOINT`, and stops by SIGTERM.",
                    hop.pool,
                    dispatch_id=hop.id,
                    run_id=hop.run_id,
                    replica=hop.replica,
                ),
            )


def clock_skew(scene: Scene) -> Iterator[Found]:
    """A clock that disagrees with the dispatcher's, or with the calendar."""
    for node_id, hop, run in scene.calls():
        offset = clock_offset_ms(run, hop)
        if offset:
            yield (
                node_id,
                _skew(hop.pool, f"{abs(offset) / 1000:.3g} s {'behind' if offset > 0 else 'ahead of'}", run),
            )
    yield from _skewed_callers(scene)
    doubtful = {one: run for one, run in scene.forest.runs.items() if not _plausible(run)}
    for node_id in scene.forest.order if doubtful else ():
        own = doubtful.get(node_id)
        if own is None or node_id in scene.forest.hop_of:
            continue
        absurd = next((when for when in (own.start, own.end) if when is not None and is_absurd(when)), None)
        if absurd is not None:
            yield node_id, _skew(_run_source(own), f"in the year {absurd.year}, far from", own)
        elif own.start and own.end and own.end < own.start - CLOCK_TOLERANCE:
            seconds = (own.start - own.end).total_seconds()
            yield (
                node_id,
                _skew(_run_source(own), f"{seconds:.3g} s back between start and end, off from", own),
            )


def _plausible(run: RunRow) -> bool:
    """Whether the run began and ended, in that order, in years that are not absurd."""
    return run.start is not None and run.end is not None and _SANE_FROM <= run.start <= run.end < _SANE_TO


def _skewed_callers(scene: Scene) -> Iterator[Found]:
    """Callers that, by their own clock, began after their call arrived or were over before it did."""
    told = set()
    for hop_id, hop in scene.hops():
        caller, caller_id = scene.caller_of(hop_id), scene.forest.parents[hop_id]
        if caller is None or caller_id is None or caller_id in told or scene.kinds[caller_id] != "caller":
            continue
        ahead = _seconds_over(hop.received_at, caller.start)
        behind = _seconds_over(caller.end, hop.received_at) if hop.spans_the_run else 0.0
        if ahead or behind:
            told.add(caller_id)
            how = f"{ahead or behind:.3g} s or more {'ahead of' if ahead else 'behind'}"
            yield caller_id, _skew(_run_source(caller), how, caller)


def _seconds_over(earlier: datetime | None, later: datetime | None) -> float:
    """Seconds between the two when they are more than clocks may disagree by, 0 otherwise."""
    if earlier is None or later is None or is_absurd(earlier) or is_absurd(later):
        return 0.0
    return (later - earlier).total_seconds() if later - earlier > CLOCK_TOLERANCE else 0.0


def _skew(source: str, how: str, run: RunRow) -> Finding:
    return _finding(
        "clock-skew",
        f"The clock of {source} is {how} the dispatcher's.",
        "Times are shown as sent; bars under the hop are shifted on to the dispatcher's clock.",
        f"Run time synchronisation (NTP) where {source} runs.",
        source,
        "info",
        start=run.start.isoformat() if run.start else "",
        end=run.end.isoformat() if run.end else "",
    )


def clock_offset_ms(run: RunRow, hop: DispatchRow) -> float:
    """Milliseconds to add to a pool root so that it lies inside its hop; 0 when it does within tolerance."""
    if run.start is None:
        return 0.0
    if run.start < hop.received_at - CLOCK_TOLERANCE:
        return (hop.received_at - run.start).total_seconds() * 1000
    if hop.ended_at is None or not hop.spans_the_run or hop.failed:
        return 0.0
    if run.start > hop.ended_at + CLOCK_TOLERANCE:
        return (hop.received_at - run.start).total_seconds() * 1000
    return 0.0


def failed_graph_200(scene: Scene) -> Iterator[Found]:
    """The transport said 200, the graph inside failed."""
    for hop_id, hop in scene.hops():
        if hop.graph_failed and hop.status < 400:
            roots = [scene.forest.run(node_id) for node_id in scene.forest.pool_roots.get(hop_id, ())]
            reason = hop.error or next((run.error for run in roots if run and run.error), "") or ""
            yield (
                hop_id,
                _finding(
                    "failed-graph-200",
                    f"{hop.pool} answered {hop.status or 200} and the graph `{hop.assistant_id}` failed inside.",
                    f"A caller that looks at the status alone takes this for success. {_line(reason)}".strip(),
                    "Read `__error__` in the answer (or use `run_graph`, which raises), and fix the graph.",
                    hop.pool,
                    "error",
                    dispatch_id=hop.id,
                    status=hop.status,
                    error=_line(reason),
                ),
            )


def header_lost(scene: Scene) -> Iterator[Found]:
    """One header family arrived malformed, or was lost while others of the same call survived."""
    for hop_id, hop in scene.hops():
        name = hop.caller_name
        for header in hop.dropped_headers:
            if header == BAGGAGE_ADDRESS:
                continue  # taken out on purpose; the rest of the baggage went on
            yield hop_id, _lost(hop, header, f"`{header}` from {name} arrived malformed and was dropped.")
        caller = scene.caller_of(hop_id)
        if caller is None:
            continue
        if caller.source == "langsmith" and not hop.ls_parent_run_id and not hop.dropped_headers:
            yield (
                hop_id,
                _lost(
                    hop, "langsmith-trace", f"`langsmith-trace` was lost between {name} and the dispatcher."
                ),
            )
        elif hop.ls_parent_run_id and not hop.ls_project and _strayed(scene, hop_id, caller):
            yield hop_id, _lost(hop, "baggage", f"`baggage` was lost between {name} and the dispatcher.")


def _strayed(scene: Scene, hop_id: str, caller: RunRow) -> bool:
    """The pool wrote to another project than the caller's, for want of the baggage that names it."""
    roots = [scene.forest.run(node_id) for node_id in scene.forest.pool_roots.get(hop_id, ())]
    return any(
        run.source == "langsmith" and run.trace_id == caller.trace_id and run.project != caller.project
        for run in roots
        if run is not None
    )


def _lost(hop: DispatchRow, header: str, title: str) -> Finding:
    return _finding(
        "header-family-lost",
        title,
        f"The call ran without it; it is joined here through dispatch record {hop.id[:8]}.",
        "Send it with `contract.headers.inject` or `RunTree.to_headers()`, and let proxies pass it unchanged.",
        hop.caller_name,
        header=header,
        dispatch_id=hop.id,
    )


def parent_cycle(scene: Scene) -> Iterator[Found]:
    """Parents that name each other in a ring."""
    for node_id, parent in sorted(scene.forest.cut.items()):
        source = _run_source(scene.forest.run(node_id))
        yield (
            node_id,
            _finding(
                "parent-cycle",
                f"{source} sent parents that form a ring; it is cut at this row, the earliest of it.",
                f"This row named {parent[:8]}, which is below it.",
                "Give every span an id of its own, and a parent that started before it.",
                source,
                node_id=node_id,
                named_parent=parent,
            ),
        )


def _run_source(run: RunRow | None) -> str:
    if run is None:
        return "the caller"
    return run.pool or run.project or "the caller"


def past_the_dispatcher(call: RefusedCall) -> Finding:
    """A worker turned a call away: seen at its door, and in no action."""
    return _finding(
        "bypassed-dispatcher",
        f"{call.pool} was called past the dispatcher, without its secret, from {call.peer}: `{call.method} {call.path}`.",
        "The worker answered 401 and ran nothing.",
        "Call it through `run_graph` or any LangGraph SDK pointed at the platform's address.",
        call.pool,
        method=call.method,
        path=call.path,
        peer=call.peer,
        caller=call.caller,
        replica=call.replica,
        at=call.at.isoformat(),
    )


def _finding(
    code: str, title: str, effect: str, remedy: str, hop: str, severity: Severity = "warning", **evidence: Any
) -> Finding:
    howto = f"/diagnostics/how-to/{code}"
    return Finding(code, title, effect, evidence, hop, remedy, howto, severity)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _line(text: str) -> str:
    """The last line of an error, where tracebacks say what happened."""
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""


DETECTORS: tuple[Callable[[Scene], Iterator[Found]], ...] = (
    standalone_root,
    two_traces,
    bypass,
    misroute,
    missing_parent,
    duplicate_run,
    exit_before_flush,
    clock_skew,
    failed_graph_200,
    header_lost,
    parent_cycle,
)
#: Every code a finding can carry, for filters and pages.
CODES: tuple[str, ...] = (
    "standalone-root",
    "two-traces",
    "bypassed-dispatcher",
    "decided-not-executed",
    "missing-parent",
    "duplicate-run",
    "exit-before-flush",
    "clock-skew",
    "failed-graph-200",
    "header-family-lost",
    "parent-cycle",
)
