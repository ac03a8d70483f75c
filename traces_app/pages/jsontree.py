"""A JSON value as nested `<details>`: readable without scripts, bounded in size, every text escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.utils.safestring import SafeString

MAX_ITEMS = 2_000
MAX_DEPTH = 40
OPEN_DEPTH = 2
MAX_STRING = 20_000


def json_tree(value: Any) -> SafeString:
    """Markup of a decoded JSON value. Past `MAX_ITEMS` entries it says how to see the rest."""
    budget = [MAX_ITEMS]
    tree = _value(value, 0, budget)
    if budget[0] > 0:
        return format_html('<div class="c-json">{}</div>', tree)
    note = mark_safe('<p class="u-quiet">More entries are left out here; Raw has all of them.</p>')
    return format_html('<div class="c-json">{}{}</div>', tree, note)


def raw_json(value: Any) -> str:
    """The value as indented text."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _value(value: Any, depth: int, budget: list[int]) -> SafeString:
    if isinstance(value, (dict, list)):
        return _branch(value, depth, budget)
    if isinstance(value, str):
        cut = value if len(value) <= MAX_STRING else value[:MAX_STRING] + "…"
        return format_html('<span class="str">{}</span>', cut)
    if value is None or isinstance(value, bool):
        return format_html('<span class="null">{}</span>', json.dumps(value))
    return format_html('<span class="num">{}</span>', str(value))


def _branch(value: dict[str, Any] | list[Any], depth: int, budget: list[int]) -> SafeString:
    size = len(value)
    unit = ("key" if isinstance(value, dict) else "item") + ("" if size == 1 else "s")
    label = f"{size} {unit}"
    if not size:
        return format_html('<span class="null">{}</span>', "{}" if isinstance(value, dict) else "[]")
    if depth >= MAX_DEPTH:
        return format_html('<span class="null">{}, too deep to show</span>', label)
    entries = format_html_join("", "<div>{}{}</div>", list(_entries(value, depth, budget)))
    shown = mark_safe(" open") if depth < OPEN_DEPTH else ""
    return format_html('<details{}><summary class="key">{}</summary>{}</details>', shown, label, entries)


def _entries(
    value: dict[str, Any] | list[Any], depth: int, budget: list[int]
) -> Iterator[tuple[SafeString, SafeString]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if budget[0] <= 0:
            return
        budget[0] -= 1
        yield format_html('<span class="key">{}:</span> ', key), _value(item, depth + 1, budget)
