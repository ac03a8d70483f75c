"""The bar of one row: its shape tells the plane, positions are per cent, so no script is needed.

Only numbers and fixed class names enter the markup; nothing a span carries does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.safestring import mark_safe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.utils.safestring import SafeString

    from traces_app.charts.scale import Scale
    from traces_app.tree import Node

MIN_WIDTH = 0.35
#: Labels stand right of their tick; one beyond this has no room there, and would stand on the label before it.
LAST = 86.0
RAILS = frozenset({"caller", "dispatcher", "pool"})


def axis(scale: Scale) -> SafeString:
    """The head of the time column: one label a tick."""
    marks = "".join(
        f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>'
        + (f'<text x="{x:.2f}%" dx="4" y="12">{label}</text>' if x <= LAST else "")
        for x, label in scale.ticks()
    )
    return mark_safe(f'<svg class="c-axisbar" aria-hidden="true" focusable="false">{marks}</svg>')  # noqa: S308


def grid(scale: Scale) -> str:
    """The tick lines behind every bar, as one path."""
    path = "".join(f"M{x:.2f} 0V1" for x, _ in scale.ticks())
    return f'<svg viewBox="0 0 100 1" preserveAspectRatio="none"><path class="tick" vector-effect="non-scaling-stroke" d="{path}"/></svg>'


def bar(
    node: Node, scale: Scale, now: datetime, behind: str, waited: Iterable[tuple[datetime, datetime]] = ()
) -> SafeString:
    """One row's drawing over its tick lines; empty of bars when the node never started.

    Below it lie the stretches in which the action waited for this row.
    """
    classes = f"c-span c-kind--{node.kind}"
    if node.status == "error":
        classes += " is-bad"
    is_open = node.start is not None and node.end is None
    if is_open:
        classes += " is-open"
    shape = _shape(node, node.start, scale, now) if node.start else ""
    for start, end in waited:
        left = scale.at(start)
        shape += _rect("waited", left, max(scale.at(end) - left, MIN_WIDTH), 88, 8)
    return mark_safe(  # noqa: S308
        f'<svg class="{classes}" aria-hidden="true" focusable="false">{behind}{shape}</svg>'
    )


def _shape(node: Node, start: datetime, scale: Scale, now: datetime) -> str:
    is_open = node.end is None
    left = scale.at(start, node.shift_ms)
    right = scale.at(node.end, node.shift_ms) if node.end else scale.at(now)
    left = min(left, 100 - MIN_WIDTH)
    width = max(right - left, MIN_WIDTH)
    edge = _line("edge", left + width, 20, 80) if is_open else ""
    if node.kind in RAILS:
        stops = _line("stop", left, 28, 72) + ("" if is_open else _line("stop", left + width, 28, 72))
        return _rect("pale", left, width, 45, 10) + stops + edge
    if node.child_count:
        return _rect("pale", left, width, 39, 22) + edge
    if node.kind == "llm" and node.first_token and node.status != "error":
        first = min(max(scale.at(node.first_token, node.shift_ms), left), left + width)
        return (
            _rect("pale", left, first - left, 33, 34)
            + _rect("bar", first, left + width - first, 33, 34)
            + edge
        )
    return _rect("bar", left, width, 33, 34) + edge


def _rect(name: str, x: float, width: float, y: int, height: int) -> str:
    return f'<rect class="{name}" x="{x:.2f}%" y="{y}%" width="{width:.2f}%" height="{height}%" rx="1"/>'


def _line(name: str, x: float, top: int, bottom: int) -> str:
    return f'<line class="{name}" x1="{x:.2f}%" x2="{x:.2f}%" y1="{top}%" y2="{bottom}%"/>'
