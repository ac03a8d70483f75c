"""The page's small vocabulary: icon, state, time, numbers. Every text is escaped by `format_html`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from platform_site.lib import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.utils.safestring import SafeString

register = template.Library()

register.filter("duration", show.shown_duration)
register.filter("change", show.shown_change)
register.filter("cost", show.shown_cost)
register.filter("clip", show.clipped)
register.filter("count", show.shown_count)
register.filter("percent", show.shown_percent)
register.filter("shortid", show.short_id)

# state -> (icon, tone); the word is the state itself unless WORDS says otherwise.
STATES: dict[str, tuple[str, str]] = {
    "ok": ("circle-check", "ok"),
    "success": ("circle-check", "ok"),
    "healthy": ("circle-check", "ok"),
    "complete": ("circle-check", "ok"),
    "delivered": ("circle-check", "ok"),
    "error": ("circle-x", "bad"),
    "failed": ("circle-x", "bad"),
    "failing": ("circle-x", "bad"),
    "running": ("loader", "run"),
    "pending": ("loader", "run"),
    "waiting": ("pause", "run"),
    "stalled": ("clock", "warn"),
    "partial": ("circle-dashed", "warn"),
    "missing": ("circle-dashed", "warn"),
    "idle": ("circle-dashed", "quiet"),
    "unknown": ("circle-help", "quiet"),
}
KINDS = {
    "caller": "monitor",
    "dispatcher": "split",
    "pool": "server",
    "node": "workflow",
    "llm": "sparkles",
    "tool": "wrench",
}
TONES = {"success": "ok", "error": "bad", "danger": "bad", "warning": "warn", "info": "run", "debug": "run"}
TONE_ICONS = {"ok": "circle-check", "bad": "circle-x", "warn": "triangle-alert", "run": "info"}


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, extra: str = "") -> SafeString:
    """One drawing of `icons.svg`, hidden from assistive technology: the word beside it speaks.

    Written out where it stands: a `<use>` of another file makes the browser build a tree for each and lay the page
    out again when the file has come, half the time until a tree of a hundred rows answers.
    """
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{}</svg>',
        " ".join(filter(None, ("c-icon", f"c-icon--{name}", extra))),
        _drawings()[name],
    )


@cache
def _drawings() -> dict[str, SafeString]:
    """The shapes of each icon by its name."""
    text = (Path(__file__).parent / "icons.svg").read_text()
    found = re.findall(r'<symbol id="([\w-]+)" viewBox="0 0 24 24">(.*)</symbol>', text)
    return {name: mark_safe(shapes) for name, shapes in found}  # noqa: S308


@register.simple_tag
@lru_cache(maxsize=16)
def kind_icon(kind: str) -> SafeString:
    """The plane's mark: caller, dispatcher, pool, node, llm, tool."""
    return icon(KINDS.get(kind, "workflow"), f"c-kind--{kind}")


@register.simple_tag
@lru_cache(maxsize=256)
def state(name: str, text: str = "") -> SafeString:
    """Icon + word + colour of a state; `text` replaces the word."""
    mark, tone = STATES.get(name, STATES["unknown"])
    return format_html('<span class="c-state c-state--{}">{}{}</span>', tone, icon(mark), text or name)


@register.simple_tag
def badge(text: str, tone: str = "", mark: str = "") -> SafeString:
    """A word on a soft ground, for the few states a page leads with."""
    kind = f"c-badge--{tone}" if tone else ""
    return format_html('<span class="c-badge {}">{}{}</span>', kind, icon(mark) if mark else "", text)


@register.simple_tag
def when(moment: datetime | None, how: str = "full") -> SafeString | str:
    """A `<time>` in UTC that the browser rewrites to the viewer's zone; UTC stays in the title."""
    if moment is None:
        return ""
    at = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC" data-show="{}">{}</time>',
        at.isoformat(timespec="milliseconds"),
        f"{show.shown_time(at)}.{at.microsecond // 1000:03}",
        how,
        show.shown_time(at, how),
    )


@register.filter
def get(mapping: Mapping[str, object], name: str) -> object:
    """The entry of a mapping; None when there is none."""
    return mapping.get(name)


@register.filter
def tone(name: str) -> str:
    """Django's message levels and our own tones, as one of ok, bad, warn, run."""
    return TONES.get(name, name or "run")


@register.filter
def tone_icon(name: str) -> str:
    return TONE_ICONS.get(tone(name), "info")


@register.filter
def json_lines(value: object) -> str:
    """A stored value as JSON, a member a line; "nothing" for none."""
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


@register.filter
def prose(text: str) -> SafeString:
    """A sentence in which back-ticks mark code, and nothing else is markup."""
    parts = str(text).split("`")
    return format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in enumerate(parts)),
    )
