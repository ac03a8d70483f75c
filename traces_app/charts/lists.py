"""Small bars in lists: how long a row took beside the others, on a log scale."""

from __future__ import annotations

import math

from django.utils.safestring import SafeString, mark_safe

#: The scale's ends in seconds: shorter is a sliver, longer is full.
SHORTEST, LONGEST = 0.01, 120.0
TONES = {"error": "is-bad", "running": "is-run"}


def share(seconds: float) -> float:
    """Per cent of the bar, at least a sliver."""
    inside = min(max(seconds, SHORTEST), LONGEST)
    return max(math.log(inside / SHORTEST) / math.log(LONGEST / SHORTEST) * 100, 2.0)


def duration_bar(seconds: float | None, status: str) -> SafeString:
    """An 84 px bar; nothing when the duration is unknown."""
    if seconds is None:
        return mark_safe("")
    tone = TONES.get(status, "is-list")
    return mark_safe(  # noqa: S308
        '<svg class="c-chart c-chart--row" aria-hidden="true" focusable="false"><rect class="is-rest" width="100%" height="6"/>'
        f'<rect class="{tone}" width="{share(seconds):.1f}%" height="6"/></svg>'
    )
