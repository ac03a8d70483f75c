"""One step of an action on its own, out of a tree that is at hand or without stitching one: a run or a dispatch record,
and the names above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone
from msgspec import structs

from routing_app.models import DispatchRecord
from traces_app import selectors
from traces_app.models import TraceHead
from traces_app.stitch import KIND_OF_TYPE, STALL_AFTER, is_worker_root
from traces_app.store import reader
from traces_app.tree import Node

if TYPE_CHECKING:
    from traces_app.rows import RunRow
    from traces_app.tree import Kind, NodeStatus, StitchedTree

MAX_CLIMB = 100
# A run has several parts, each of which may name its parent; UNION keeps a level from doubling the next.
_CLIMB = """
WITH RECURSIVE up AS (
    SELECT p.run_id, p.parent_id, p.name, 0 AS height FROM traces_app_runpart p WHERE p.run_id = %s
    UNION SELECT p.run_id, p.parent_id, p.name, up.height + 1
    FROM up JOIN traces_app_runpart p ON p.run_id = up.parent_id WHERE up.height < %s
)
SELECT run_id::text, max(name) FROM up GROUP BY run_id ORDER BY max(height) DESC
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the tree on its own: tokens and cost are its own, not those of what it called."""

    node: Node
    #: Names above it, outermost first.
    path: tuple[str, ...]
    #: None for a dispatch record.
    detail: selectors.RunDetail | None = None
    record: DispatchRecord | None = None


def run_step(run_id: str) -> Step | None:
    """A stored run with its payload; None when there is none. Five small queries, whatever the action's size."""
    detail = selectors.get_run(run_id)
    if detail is None:
        return None
    above = _climb(run_id)
    records = list(DispatchRecord.objects.filter(run_id__in=[one for one, _ in above]))
    called = {record.run_id for record in records}
    names = [name for one, title in above for name in (("dispatch", title) if one in called else (title,))]
    caller = next((record.key_name for record in records if record.run_id == above[0][0]), "")
    node = _node(detail.run, is_hop_root=run_id in called)
    return Step(node, (*((caller,) if caller else ()), *names[:-1]), detail)


def tree_step(tree: StitchedTree, node: Node) -> Step:
    """A row of a tree that is at hand, as `run_step` and `hop_step` give it: what is above it need not be asked for."""
    rows = {one.id: one for one in tree.nodes}
    names: list[str] = []
    above = rows.get(node.parent_id or "")
    while above is not None:
        names.append(_name(above))
        above = rows.get(above.parent_id or "")
    own = structs.replace(node, name=_name(node), tokens=node.own_tokens, cost=node.own_cost)
    path = tuple(reversed(names))
    if node.run_id and node.status != "missing":
        return Step(own, path, selectors.get_run(node.run_id))
    is_record = node.kind == "dispatcher" and reader.valid_uuid(node.id)
    return Step(own, path, record=DispatchRecord.objects.filter(pk=node.id).first() if is_record else None)


def _name(node: Node) -> str:
    return "dispatch" if node.kind == "dispatcher" else node.name or "unnamed"


def hop_step(dispatch_id: str) -> Step | None:
    """A dispatch record as a step; None when no record has the id."""
    record = DispatchRecord.objects.filter(pk=dispatch_id).first()
    if record is None:
        return None
    failed = bool(record.error_kind) or record.status >= 400
    node = Node(
        id=dispatch_id,
        parent_id=record.ls_parent_run_id or None,
        depth=0,
        kind="dispatcher",
        name="dispatch",
        assistant_id=record.assistant_id,
        pool=record.pool,
        status="error" if failed else "ok" if record.ended_at else "running",
        start=record.received_at,
        end=record.ended_at,
        tokens=None,
        cost=None,
        own_tokens=None,
        own_cost=None,
        model="",
        error=record.error,
        run_id=None,
        routing_version=record.routing_version,
    )
    above = [name for _, name in _climb(record.ls_parent_run_id)] if record.ls_parent_run_id else []
    return Step(node, tuple(above) or (record.key_name or record.caller or "the caller",), record=record)


def _climb(run_id: str) -> list[tuple[str, str]]:
    """(run id, name) of the run and what is above it, outermost first."""
    with connection.cursor() as cursor:
        cursor.execute(_CLIMB, [run_id, MAX_CLIMB])
        return [(one, name or "unnamed") for one, name in cursor.fetchall()]


def _node(run: RunRow, *, is_hop_root: bool) -> Node:
    leaf = run.run_type in ("llm", "embedding")
    return Node(
        id=run.run_id,
        parent_id=run.parent_run_id,
        depth=0,
        kind=_kind(run, is_hop_root),
        name=run.name,
        assistant_id=run.assistant_id or "",
        pool=run.pool or "",
        status=_status(run),
        start=run.start,
        end=run.end,
        tokens=run.total_tokens if leaf else None,
        cost=run.cost if leaf else None,
        own_tokens=run.total_tokens if leaf else None,
        own_cost=run.cost if leaf else None,
        model=run.model or "",
        error=run.error or "",
        run_id=run.run_id,
        first_token=run.first_token,
        routing_version=run.routing_version,
        tags=run.tags,
        trace_id=run.trace_id,
    )


def _kind(run: RunRow, is_hop_root: bool) -> Kind:
    if is_hop_root:
        return "pool"
    return KIND_OF_TYPE.get(run.run_type, "node" if is_worker_root(run) else "caller")


def _status(run: RunRow) -> NodeStatus:
    """An open run of a trace that has been quiet for long is called stalled, as in the tree."""
    if run.status != "running":
        return run.status
    news = TraceHead.objects.filter(pk=run.trace_id).values_list("updated_at", flat=True).first()
    return "stalled" if news and timezone.now() - news > STALL_AFTER else "running"
