"""Small text tools shared by graphs and rules."""

from __future__ import annotations

import re
from typing import Any

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")
_SPACE = re.compile(r"\s+")


def clean(value: Any, limit: int = 400) -> str:
    """One line of at most `limit` characters; anything but text or a number becomes "". Control characters go."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    line = _SPACE.sub(" ", "".join(c if c.isprintable() else " " for c in str(value))).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clean_list(value: Any, *, limit: int = 12) -> list[str]:
    """The non-empty lines of a list, in order and without repeats; a single text counts as a list of one."""
    items = value if isinstance(value, list) else [value]
    lines = dict.fromkeys(clean(item) for item in items)
    return [line for line in lines if line][:limit]


def listing(value: Any) -> list[Any]:
    """`value` when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def section(value: Any) -> dict[str, Any]:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def statements(text: str) -> list[str]:
    """The sentences of a text; a line's end ends one too."""
    return [sentence for line in text.splitlines() for sentence in sentences(line)]


def as_sentence(text: str) -> str:
    """Trimmed, capitalised, with a full stop."""
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?…" else text + "."


def words(text: str) -> list[str]:
    return re.findall(r"[\w'\u2019-]+", text)


def first_name(name: str) -> str:
    return name.split()[0] if name.split() else ""


def listed(items: list[str], *, last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
