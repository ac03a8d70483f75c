"""The campaign pages' own words: where a touch's trace is, what a line of the timeline looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns_app.models import Touch

register = template.Library()

ICONS = {
    "enrolled": "user",
    "composed": "sparkles",
    "sent": "send",
    "reply": "reply",
    "unknown": "triangle-alert",
    "failed": "circle-x",
    "message": "mail",
    "out_of_office": "clock",
    "delivered": "circle-check",
    "hard_bounce": "circle-x",
    "soft_bounce": "triangle-alert",
}


@register.filter
def entry_icon(kind: str) -> str:
    return ICONS.get(kind, "ban")


@register.filter
def trace_url(touch: Touch) -> str:
    """The trace of the run that wrote this mail: a link by id, no key across planes."""
    return f"/traces/{touch.langsmith_run_id}"


@register.filter
def of_run(feedback: Mapping[str, Sequence[object]], run_id: str) -> Sequence[object]:
    return feedback.get(run_id, ())
