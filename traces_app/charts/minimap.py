"""The map over a large tree: how many steps were at work along its time, and where the shown rows lie."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from django.utils.safestring import mark_safe

from traces_app.charts.scale import GUTTER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.utils.safestring import SafeString

    from traces_app.charts.scale import Scale
    from traces_app.tree import Node

COLUMNS, HEIGHT = 120, 40


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of the action's time: leaves at work in it, those that are LLM calls, those that failed."""

    working: int
    llm: int
    failed: int
    #: The leaf that took longest of those that began here.
    longest: Node | None


def columns(nodes: Sequence[Node], scale: Scale, now: datetime) -> list[Column]:
    """Leaves by the stretches they were at work in; a step shorter than one stretch counts in one."""
    # How many more, or fewer, are at work in a stretch than in the one before it.
    working, llm, failed = ([0] * (COLUMNS + 1) for _ in range(3))
    longest: dict[int, Node] = {}
    spent: dict[int, float] = {}
    zero, wide = scale.start, scale.seconds / COLUMNS
    for node in nodes:
        start = node.start
        if start is None or node.child_count:
            continue
        begun = (start - zero).total_seconds() + node.shift_ms / 1000
        took = ((node.end or now) - start).total_seconds()
        first = _within(int(begun / wide))
        after = max(_within(int((begun + took) / wide)) + 1, first)
        working[first] += 1
        working[after] -= 1
        if node.kind == "llm":
            llm[first] += 1
            llm[after] -= 1
        if node.status == "error":
            failed[first] += 1
            failed[after] -= 1
        if took >= spent.get(first, 0.0):
            spent[first], longest[first] = took, node
    totals = zip(accumulate(working), accumulate(llm), accumulate(failed), strict=True)
    return [Column(*counts, longest.get(at)) for at, counts in zip(range(COLUMNS), totals, strict=False)]


def _within(column: int) -> int:
    """The nearest column there is: clocks that are off, or the last instant, lie outside."""
    return 0 if column < 0 else min(column, COLUMNS - 1)


def drawn(
    found: Sequence[Column], shown: Sequence[Node], scale: Scale, now: datetime, hrefs: Sequence[str]
) -> SafeString:
    """Bars over the whole action; the stretch of the rows below is marked. `hrefs` are escaped by whoever made them."""
    most = max((column.working for column in found), default=0) or 1
    width = (100 - GUTTER) / COLUMNS
    parts = [_marked(shown, scale, now)]
    for at, (column, href) in enumerate(zip(found, hrefs, strict=True)):
        if not column.working:
            continue
        x = at * width
        bar = _rect("", x, width, column.working / most)
        bar += _rect("is-llm", x, width, column.llm / most) if column.llm else ""
        bar += _rect("is-bad", x, width, max(column.failed / most, 0.1)) if column.failed else ""
        parts.append(f'<a href="{href}" tabindex="-1">{bar}</a>' if href else bar)
    return mark_safe(  # noqa: S308
        f'<svg class="c-chart c-minimap" width="100%" height="{HEIGHT}" aria-hidden="true" focusable="false">'
        f"{''.join(parts)}</svg>"
    )


def _marked(shown: Sequence[Node], scale: Scale, now: datetime) -> str:
    leaves = [node for node in shown if node.start is not None and not node.child_count]
    if not leaves:
        return ""
    left = min(scale.at(node.start, node.shift_ms) for node in leaves if node.start)
    right = max(scale.at(node.end or now, node.shift_ms) for node in leaves)
    return f'<rect class="is-shown" x="{left:.2f}%" y="0" width="{max(right - left, 0.35):.2f}%" height="{HEIGHT}"/>'


def _rect(name: str, x: float, width: float, share: float) -> str:
    tall = share * HEIGHT
    kind = f' class="{name}"' if name else ""
    return f'<rect{kind} x="{x:.2f}%" y="{HEIGHT - tall:.1f}" width="{width:.2f}%" height="{tall:.1f}"/>'
