"""The critical path: of each moment of an action, the one step that its end was waiting for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from traces_app.tree import Node


@dataclass(slots=True)
class Wait:
    """How long a step with all inside it was waited for, and the stretches in which it was the step itself."""

    start: datetime
    end: datetime
    #: The latest first.
    own: list[tuple[datetime, datetime]] = field(default_factory=list)

    @property
    def own_time(self) -> timedelta:
        return sum((end - start for start, end in self.own), timedelta())


def critical_path(nodes: Sequence[Node]) -> dict[str, Wait]:
    """Walk back from the end of the root that ended last: each step waits for the child that ended last before then.

    Takes rows in display order. A child that outlives its parent counts up to the parent's end, one that runs beside a
    later child up to that one's start. All own stretches together cover the root's time exactly once; there are none
    before a root has ended. Rows without a time of their own hand what is below them to the row above.
    """
    spans = {node.id: span for node in nodes if (span := _span(node))}
    children = _children(nodes, spans)
    path: dict[str, Wait] = {}
    last = max(children.get("", ()), key=lambda one: spans[one][1], default=None)
    waits = [(last, *spans[last])] if last is not None else []
    while waits:
        step, begun, until = waits.pop()
        wait = path[step] = Wait(begun, until)
        for child in sorted(children.get(step, ()), key=lambda one: spans[one][1], reverse=True):
            start, end = max(spans[child][0], begun), min(spans[child][1], until)
            if start >= end:
                continue
            if end < until:
                wait.own.append((end, until))
            waits.append((child, start, end))
            until = start
        if begun < until:
            wait.own.append((begun, until))
    return path


def _children(nodes: Sequence[Node], timed: dict[str, tuple[datetime, datetime]]) -> dict[str, list[str]]:
    """The timed rows below each timed row; those below none stand under ""."""
    holder: dict[str, str] = {}
    children: dict[str, list[str]] = {}
    for node in nodes:
        above = holder.get(node.parent_id or "", "") if node.depth else ""
        if node.id in timed:
            children.setdefault(above, []).append(node.id)
        holder[node.id] = node.id if node.id in timed else above
    return children


def _span(node: Node) -> tuple[datetime, datetime] | None:
    """Start and end on the dispatcher's clock."""
    if node.start is None or node.end is None or node.end < node.start:
        return None
    if not node.shift_ms:
        return node.start, node.end
    shift = timedelta(milliseconds=node.shift_ms)
    return node.start + shift, node.end + shift
