"""Everything that belongs to one action: follow ids from any one of them until nothing new is found."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from platform_site.lib.postgres import prepared_cursor
from traces_app.links import caller_request_id
from traces_app.outline import LARGE, Outline, chosen, outline
from traces_app.rows import DispatchRow, RunRow
from traces_app.store import reader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: An action is a handful of traces; a reused request id must not pull in a day's worth.
MAX_TRACES = 200
MAX_HOPS = 1000
_ROUNDS = 6
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_HOP_FIELDS = DispatchRow.__struct_fields__
_HOPS = f"SELECT {', '.join(_HOP_FIELDS).replace('id', 'id::text', 1)} FROM routing_app_dispatchrecord WHERE {{which}} ORDER BY received_at, id LIMIT %s"  # noqa: S608
#: What runs say of the call they came by. Its own record is written when it has ended.
_UNDER_WAY = """SELECT trace_id::text FROM traces_app_tracehead
WHERE facts && ARRAY['meta.agentic.request_id=' || %(id)s, 'meta.agentic.dispatch_id=' || %(id)s] LIMIT %(limit)s"""
#: Columns of a record → what they may be. A record that meets one of them is meant.
Which = dict[str, set[str]]


@dataclass(slots=True)
class Action:
    """Rows of one action, by trace, and its dispatch records."""

    runs: dict[str, list[RunRow]] = field(default_factory=dict)
    hops: dict[str, DispatchRow] = field(default_factory=dict)
    #: Of the traces that are too large to be read whole: their shape; `runs` holds what is chosen of them.
    outlines: dict[str, Outline] = field(default_factory=dict)

    @property
    def all_runs(self) -> list[RunRow]:
        return [run for rows in self.runs.values() for run in rows]


def gather(any_id: str, opened: Collection[str] = ()) -> Action | None:
    """The action that a run id, trace id, W3C trace id, request id or dispatch id names; None when none does.

    Of a large trace some rows are loaded: `opened` names runs whose children must be among them.
    """
    opened = {*opened, any_id.lower()}
    action = Action()
    with prepared_cursor() as cursor:
        asked: set[str] = set()
        asked_hops: Which = _named(any_id)
        found = _hops(cursor, asked_hops)
        for turn in range(_ROUNDS):
            ids = ({any_id} | _traces_named(found)) - asked
            asked |= ids
            traces = _traces(cursor, action, ids, opened)
            if not turn and not found and not traces:
                traces = _traces(cursor, action, _under_way(cursor, any_id), opened)
            new_hops = [hop for hop in found if hop.id not in action.hops]
            if not new_hops and not traces:
                break
            action.hops.update((hop.id, hop) for hop in new_hops)
            action.runs |= traces
            found = _hops(cursor, _not_yet(asked_hops, _around(traces, new_hops)))
    return action if action.runs or action.hops else None


def _traces(
    cursor: Any, action: Action, ids: Collection[str], opened: Collection[str]
) -> dict[str, list[RunRow]]:
    """The runs of the traces that the ids name and that the action does not hold yet, by trace."""
    room = MAX_TRACES - len(action.runs)
    runs = reader.load_named(cursor, ids, action.runs, LARGE)
    if runs is None:
        sizes = reader.traces_of(cursor, ids)
        new = sorted(sizes.keys() - action.runs.keys())[:room]
        runs = _load(cursor, action, {one: sizes[one] for one in new}, opened)
    traces: dict[str, list[RunRow]] = {}
    for run in runs:
        traces.setdefault(run.trace_id, []).append(run)
    return {one: traces[one] for one in sorted(traces)[:room]}


def _load(cursor: Any, action: Action, sizes: dict[str, int], opened: Collection[str]) -> list[RunRow]:
    """The runs of these traces, whole or, where there are too many, those that an outline chooses."""
    runs = reader.load_runs(cursor, [one for one, size in sizes.items() if size <= LARGE])
    for trace_id in (one for one, size in sizes.items() if size > LARGE):
        shape = action.outlines[trace_id] = outline(reader.load_outline(cursor, trace_id))
        shape.unread = max(sizes[trace_id] - len(shape.parents), 0)
        runs += reader.load_runs_by_id(cursor, chosen(shape, opened))
    return runs


def _under_way(cursor: Any, any_id: str) -> list[str]:
    """The traces of a call that has not ended, by its request or dispatch id."""
    cursor.execute(_UNDER_WAY, {"id": any_id, "limit": MAX_TRACES})
    return [trace_id for (trace_id,) in cursor.fetchall()]


def _named(any_id: str) -> Which:
    lowered = any_id.lower()
    named = {"request_id": {any_id}, "run_id": {lowered}, "ls_trace_id": {lowered}}
    if _UUID.fullmatch(lowered):
        named |= {"w3c_trace_id": {lowered.replace("-", "")}, "id": {lowered}}
    return named


def _around(traces: dict[str, list[RunRow]], hops: list[DispatchRow]) -> Which:
    """The records that touch these traces, runs or requests."""
    runs = [run for rows in traces.values() for run in rows]
    ids = {run.dispatch_id for run in runs if run.dispatch_id and _UUID.fullmatch(run.dispatch_id)}
    known = {run.run_id: run for run in runs}
    roots = {
        run.run_id
        for run in runs
        if run.parent_run_id is None or _may_begin(run, known.get(run.parent_run_id))
    }
    w3c = {run.w3c_trace_id for run in runs if run.w3c_trace_id}
    w3c |= {hop.w3c_trace_id for hop in hops if hop.w3c_parent_id}
    requests = {hop.request_id for hop in hops} | {caller_request_id(run) for run in runs}
    ls_traces = {*traces, *(hop.ls_trace_id for hop in hops)}
    return {
        "id": ids,
        "run_id": roots,
        "w3c_trace_id": w3c,
        "request_id": requests - {""},
        "ls_trace_id": ls_traces - {""},
    }


def _not_yet(asked: Which, wanted: Which) -> Which:
    """What of `wanted` was not asked before; from now on it was."""
    new = {column: values - asked.get(column, set()) for column, values in wanted.items()}
    for column, values in new.items():
        asked.setdefault(column, set()).update(values)
    return new


def _may_begin(run: RunRow, parent: RunRow | None) -> bool:
    """Whether a call may have begun with this run: what is above it is not of the same call."""
    return bool(run.pool) and not (
        parent and parent.pool == run.pool and parent.dispatch_id == run.dispatch_id
    )


def _hops(cursor: Any, which: Which) -> list[DispatchRow]:
    asked = {name: list(values) for name, values in which.items() if values}
    if not asked:
        return []
    met = " OR ".join(f"{name} = ANY(%s{'::uuid[]' if name == 'id' else ''})" for name in asked)
    cursor.execute(_HOPS.format(which=met), [*asked.values(), MAX_HOPS])
    return [hop_row(values) for values in cursor.fetchall()]


def hop_row(values: tuple[Any, ...]) -> DispatchRow:
    """The record as stitching sees it, from its columns in the order of `DispatchRow`."""
    given = dict(zip(_HOP_FIELDS, values, strict=True))
    given["id"] = str(given["id"])
    given["dropped_headers"] = tuple(given["dropped_headers"] or ())
    given["routing_version"] = given["routing_version"] or None
    return DispatchRow(**given)


def _traces_named(hops: Iterable[DispatchRow]) -> set[str]:
    """The traces that records lead to: the caller's, the pool's, the W3C one."""
    return {one for hop in hops for one in (hop.ls_trace_id, hop.run_id, hop.w3c_trace_id) if one}
