"""The strips over the list: how many actions and how many failed; how long they took, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.safestring import mark_safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

HEIGHT = 44
HEAT_STEPS = 5


def volume(columns: Sequence[tuple[float, int]], hrefs: Sequence[str], label: str) -> SafeString:
    """(all, failed) of each column, as bars on one base line, over a link to its rows.

    `label` holds numbers and fixed words only; `hrefs` are escaped by whoever made them.
    """
    tallest = max((count for count, _ in columns), default=0) or 1
    width = 100 / max(len(columns), 1)
    drawn = []
    for at, (count, failed) in enumerate(columns):
        bars = _rect("", at * width, width, max(count / tallest, 0.06)) if count else ""
        bars += _rect("is-bad", at * width, width, max(failed / tallest, 0.06)) if failed else ""
        drawn.append(bars)
    return _svg(drawn, hrefs, label)


def latency(columns: Sequence[Sequence[int]], hrefs: Sequence[str], label: str) -> SafeString:
    """Counts by row of latency for each column, the slowest row on top; darker is more."""
    most = max((count for column in columns for count in column), default=0) or 1
    width = 100 / max(len(columns), 1)
    drawn = []
    for at, column in enumerate(columns):
        cells = []
        height = HEIGHT / max(len(column), 1)
        for row, count in enumerate(column):
            if count:
                heat = 1 + round((count / most) ** 0.5 * (HEAT_STEPS - 1))
                top = HEIGHT - (row + 1) * height
                cells.append(
                    f'<rect class="heat-{heat}" x="{at * width:.2f}%" y="{top:.1f}" width="{width * 0.86:.2f}%" height="{height - 1:.1f}"/>'
                )
        drawn.append("".join(cells))
    return _svg(drawn, hrefs, label)


def _rect(name: str, x: float, width: float, share: float) -> str:
    tall = share * HEIGHT
    return f'<rect class="{name}" x="{x:.2f}%" y="{HEIGHT - tall:.1f}" width="{width * 0.82:.2f}%" height="{tall:.1f}"/>'


def _svg(drawn: Sequence[str], hrefs: Sequence[str], label: str) -> SafeString:
    """The columns' links are for the pointer alone: the table beside the strip holds them for everyone."""
    width = 100 / max(len(drawn), 1)
    inside = "".join(
        f'<a href="{href}" tabindex="-1"><rect class="is-hit" x="{at * width:.2f}%" width="{width:.2f}%" height="{HEIGHT}"/>'
        f"{bars}</a>"
        for at, (bars, href) in enumerate(zip(drawn, hrefs, strict=True))
    )
    return mark_safe(  # noqa: S308
        f'<p class="u-visually-hidden">{label}</p><svg class="c-chart" width="100%" height="{HEIGHT}" aria-hidden="true" '
        f'focusable="false" data-brush>{inside}</svg>'
    )
