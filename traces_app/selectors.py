"""Reads of actions: the list by keyset, one action as a stitched tree, one run with its payload."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import structs

from platform_site.lib.postgres import prepared_cursor
from traces_app import filter_sql
from traces_app.actions import condition, edge, newest, reading, up_to
from traces_app.filters import FilterError, parse
from traces_app.gather import gather
from traces_app.stitch import stitch
from traces_app.store import reader
from traces_app.tree import Missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from decimal import Decimal

    from traces_app.outline import Outline
    from traces_app.rows import RunPayload, RunRow
    from traces_app.tree import Node, StitchedTree

MAX_LIMIT = 200
_BATCH = 500  # runs of an export that are in memory at once
_STATUS = ("running", "ok", "error")

_COLUMNS = """h.seen_at, h.trace_id, h.root_run_id::text, h.name, h.status, h.started_at, h.ended_at,
    h.assistant_id, h.pool, h.routing_version, h.project, h.source, h.runs, h.open_runs, h.errors, h.llm_runs,
    h.total_tokens, h.cost, h.tags, h.updated_at"""
_HOPS_OF = f"""
SELECT coalesce(nullif(d.ls_trace_id, ''), d.run_id), d.run_id, d.id::text, d.pool, d.assistant_id, d.key_name, d.routing_version,
    {filter_sql.FAILED_CALL}
FROM routing_app_dispatchrecord d WHERE d.ls_trace_id = ANY(%s) OR d.run_id = ANY(%s) OR d.id = ANY(%s::uuid[])
ORDER BY d.received_at
"""  # noqa: S608
_FINDINGS_OF = """
SELECT s.trace_id::text, g.code FROM traces_app_findingsighting s
JOIN traces_app_storedfinding g ON g.id = s.finding_id
WHERE s.trace_id = ANY(%s::uuid[]) AND g.resolved_at IS NULL ORDER BY g.code
"""
_FEEDBACK_OF = """
SELECT f.trace_id::text, f.key, f.score FROM feedback_app_feedback f
WHERE f.trace_id = ANY(%s::uuid[]) AND f.retracted_at IS NULL ORDER BY f.created_at
"""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action as the list shows it. `status` is ok, error or running."""

    id: str
    root_run_id: str
    name: str
    status: str
    start: datetime | None
    end: datetime | None
    seen_at: datetime
    #: When something of it came last.
    heard_at: datetime
    assistant_id: str
    pools: tuple[str, ...]
    caller: str
    routing_version: int | None
    project: str
    source: str
    runs: int
    open_runs: int
    errors: int
    llm_calls: int
    tokens: int
    cost: Decimal
    tags: tuple[str, ...]
    #: Codes of what is unresolved.
    findings: tuple[str, ...] = ()
    #: (key, score), oldest first.
    feedback: tuple[tuple[str, float | None], ...] = ()

    @property
    def cursor(self) -> str:
        """The row's place in the list."""
        return place(self.seen_at, self.id)

    @property
    def seconds(self) -> float | None:
        return (self.end - self.start).total_seconds() if self.start and self.end else None


@dataclass(frozen=True, slots=True)
class ActionPage:
    rows: tuple[ActionRow, ...]
    #: "" on the last page.
    next_cursor: str
    #: About how many traces are stored, when nothing is filtered; None otherwise.
    total_hint: int | None = None
    #: How far back was looked, when a filter that nothing is indexed for did not get to the end; older ones may match.
    read_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunDetail:
    run: RunRow
    payload: RunPayload


def list_actions(
    *, q: str = "", cursor: str = "", after: str = "", limit: int = 50, project: str = ""
) -> ActionPage:
    """Newest first, before `cursor` or (a live tail) since `after`, both a row's `cursor`; of one project only if given.

    Raises FilterError (a ValueError) that names what is wrong with the filter or the cursor.
    """
    terms = parse(q)
    places, given = "", list[Any]()
    for mark, sign in ((cursor, "<"), (after, ">")):
        if mark:
            places += f" AND (h.seen_at, h.trace_id) {sign} (%s, %s)"
            given += read_cursor(mark)
    count = max(1, min(limit, MAX_LIMIT))
    where = condition(terms)
    with reading(where) as cur:
        last = edge(cur, (places, given)) if filter_sql.looks_through(terms) else None
        bounds, given = up_to((places, given), last)
        if project:
            bounds, given = f"{bounds} AND h.project = %s", [*given, project]
        cur.execute(*newest(_COLUMNS, where, bounds=(bounds, given), limit=count + 1))
        found = cur.fetchall()
        rows = _rows(cur, found[:count])
        hint = _estimate(cur) if not terms and not project else None
    if len(found) > count:
        return ActionPage(rows, rows[-1].cursor, hint)
    return ActionPage(rows, place(*last), hint, last[0]) if last else ActionPage(rows, "", hint)


def place(seen_at: datetime, trace_id: object) -> str:
    """A place in the list as text, the cursor of its pages."""
    return f"{seen_at.isoformat()}_{trace_id}"


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        seen, _, trace_id = cursor.rpartition("_")
        return datetime.fromisoformat(seen), UUID(trace_id)
    except ValueError:
        raise FilterError(0, "The cursor is not one of ours; take the list from its beginning") from None


def _estimate(cur: Any) -> int:
    cur.execute(
        "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'traces_app_tracehead'::regclass"
    )
    return int(cur.fetchone()[0])


def _rows(cur: Any, found: list[tuple[Any, ...]]) -> tuple[ActionRow, ...]:
    """Heads with what their dispatch records, findings and feedback add; three queries for a page."""
    traces = [str(row[1]) for row in found]
    if not traces:
        return ()
    roots = [row[2] for row in found if row[2]]
    hops: dict[str, list[tuple[Any, ...]]] = {}
    cur.execute(_HOPS_OF, [traces, roots, traces])
    for *names, hop in ((*row[:3], row[3:]) for row in cur.fetchall()):
        for name in set(names):
            hops.setdefault(name, []).append(hop)
    findings, feedback = _grouped(cur, _FINDINGS_OF, traces), _grouped(cur, _FEEDBACK_OF, traces)
    return tuple(
        _row(
            head,
            hops.get(str(head[1])) or hops.get(head[2]) or [],
            findings.get(str(head[1]), []),
            feedback.get(str(head[1]), []),
        )
        for head in found
    )


def _grouped(cur: Any, query: str, traces: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    cur.execute(query, [traces])
    grouped: dict[str, list[tuple[Any, ...]]] = {}
    for trace_id, *rest in cur.fetchall():
        grouped.setdefault(trace_id, []).append(tuple(rest))
    return grouped


def _row(
    head: tuple[Any, ...],
    hops: list[tuple[Any, ...]],
    findings: list[tuple[Any, ...]],
    feedback: list[tuple[Any, ...]],
) -> ActionRow:
    (
        seen,
        trace_id,
        root,
        name,
        status,
        start,
        end,
        assistant,
        pool,
        version,
        project,
        source,
        runs,
        open_runs,
        errors,
        llm_runs,
        tokens,
        cost,
        tags,
        heard,
    ) = head
    failed = any(hop[4] for hop in hops)
    return ActionRow(
        id=str(trace_id),
        root_run_id=root or "",
        name=name,
        status="error" if failed and status == 1 else _STATUS[status],
        start=start,
        end=end,
        seen_at=seen,
        heard_at=heard,
        assistant_id=assistant or next((hop[1] for hop in hops if hop[1]), ""),
        pools=tuple(dict.fromkeys(one for one in (pool, *(hop[0] for hop in hops)) if one)),
        caller=next((hop[2] for hop in hops if hop[2]), ""),
        routing_version=version or next((hop[3] for hop in hops if hop[3]), None),
        project=project,
        source=source,
        runs=runs,
        open_runs=open_runs,
        errors=errors,
        llm_calls=llm_runs,
        tokens=tokens,
        cost=cost,
        tags=tuple(tags),
        findings=tuple(dict.fromkeys(code for (code,) in findings)),
        feedback=tuple((key, score) for key, score in feedback),
    )


def get_tree(
    any_id: str, *, opened: Collection[str] = (), now: datetime | None = None
) -> StitchedTree | None:
    """The action that any of its ids names; None when nothing does.

    Of a trace with more than `outline.LARGE` runs the tree holds the upper levels, the ways down to faults and the
    children of the `opened` runs; counts and tokens are of all of it.
    """
    action = gather(any_id, opened)
    if action is None:
        return None
    tree = stitch(action.all_runs, action.hops.values(), now=now, whole=not action.outlines)
    return (
        with_unread(_with_outlines(tree, action.outlines.values()), action.outlines)
        if action.outlines
        else tree
    )


def with_unread(tree: StitchedTree, outlines: Mapping[str, Outline]) -> StitchedTree:
    """The tree with what its traces hold beyond what is read of one, so that no count passes for all of it."""
    reason = f"of one trace the first {reader.OUTLINE_PARTS:,} messages are read"
    unread = [
        Missing(trace_id, "this view", reason, shape.unread)
        for trace_id, shape in outlines.items()
        if shape.unread
    ]
    if not unread:
        return tree
    state = "partial" if tree.state == "complete" else tree.state
    return replace(tree, state=state, missing=(*tree.missing, *unread))


def _with_outlines(tree: StitchedTree, shapes: Iterable[Outline]) -> StitchedTree:
    """The loaded rows with what their whole subtrees hold."""
    below = {run_id: count for shape in shapes for run_id, count in shape.below.items()}
    tokens = {run_id: spent for shape in shapes for run_id, spent in shape.tokens.items()}
    broods = {run_id: len(brood) for shape in shapes for run_id, brood in shape.children.items()}
    extra: dict[str, int] = {}  # rows that were not loaded, on the way up to hops and callers
    spent: dict[str, int] = {}
    nodes: list[Node] = []
    for node in reversed(tree.nodes):
        count = below.get(node.id, node.descendant_count) if node.run_id else node.descendant_count
        missing = max(count - node.descendant_count, 0)
        held = max(missing, extra.get(node.id, 0))
        used = tokens.get(node.id) if node.run_id else None
        total = max(used or 0, spent.get(node.id, 0), node.tokens or 0) or node.tokens
        nodes.append(
            structs.replace(
                node,
                descendant_count=node.descendant_count + held,
                child_count=max(node.child_count, broods.get(node.id, 0)),
                tokens=total,
            )
        )
        if node.parent_id:
            extra[node.parent_id] = extra.get(node.parent_id, 0) + held
            spent[node.parent_id] = spent.get(node.parent_id, 0) + (total or 0)
    nodes.reverse()
    roots = [node.tokens for node in nodes if node.parent_id is None and node.tokens]
    story = replace(tree.story, tokens=sum(roots) if roots else tree.story.tokens)
    return replace(tree, nodes=tuple(nodes), story=story)


def runs_of(any_id: str) -> Iterator[RunDetail]:
    """Every stored run of an action with its payload, in bounded memory however many there are.

    By start, which is about the order in which they are stored: a batch then opens few chunks.
    """
    action = gather(any_id)
    if action is None:
        return
    outlined = [run_id for shape in action.outlines.values() for run_id in shape.parents]
    loaded = sorted(action.all_runs, key=lambda run: (run.start is None, run.start, run.run_id))
    ids = iter(dict.fromkeys([*outlined, *(run.run_id for run in loaded)]))
    del action, loaded, outlined
    while batch := list(islice(ids, _BATCH)):
        with prepared_cursor() as cur:
            found = {
                run.run_id: RunDetail(run, payload)
                for run, payload in reversed(reader.load_whole(cur, batch))
            }
        yield from (found[run_id] for run_id in batch if run_id in found)


def may_see(tree: StitchedTree, project: str) -> bool:
    """Whether a key of this project may see the action: it began there. "" sees all."""
    first = next((node.run_id for node in tree.nodes if node.run_id and node.status != "missing"), None)
    if not project or first is None:
        return not project
    with prepared_cursor() as cur:
        return any(run.project == project for run in reader.load_runs_by_id(cur, [first]))


def get_run(run_id: str) -> RunDetail | None:
    """One run with its inputs, outputs and the other heavy values; None when it is not stored."""
    if not reader.valid_uuid(run_id):
        return None
    with prepared_cursor() as cur:
        return next((RunDetail(*found) for found in reader.load_whole(cur, [run_id])), None)
