"""Many parts, one run: the same answer whatever the order and number in which they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from traces_app.store.records import RunPart

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEVER = -(2**63)
_LATER_WINS = tuple(
    f
    for f in RunPart.__struct_fields__
    if f not in {"trace_id", "run_id", "kind", "digest", "facts", "payload"}
)


def merge_order(part: RunPart) -> tuple[int, int, int]:
    """Posts before patches, patches by their end, and the digest where that leaves it open."""
    return (part.kind, _NEVER if part.end is None else part.end, part.digest)


def merge_parts(parts: Iterable[RunPart]) -> RunPart:
    """Return one part that says what all of them say; of two values for a field the later one stands.

    An empty value (None, "", `{}`, `[]`) never replaces one that says something. Needs at least one part.
    """
    ordered = sorted(parts, key=merge_order)
    merged = ordered[0]
    if len(ordered) == 1:
        return merged
    merged = msgspec.structs.replace(merged, facts=dict(merged.facts), payload=dict(merged.payload))
    for part in ordered[1:]:
        _add_fields(merged, part)
        _add_values(merged.facts, part.facts)
        _add_values(merged.payload, part.payload)
    return merged


def _add_fields(merged: RunPart, part: RunPart) -> None:
    for name in _LATER_WINS:
        value = getattr(part, name)
        if value is not None and value != "" and value is not False and (name != "status" or value):
            setattr(merged, name, value)


def _add_values(into: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name == "metadata" and name in into:
            into[name] = {**into[name], **value}
        elif name in {"tags", "attachments"} and name in into:
            into[name] = list(dict.fromkeys((*into[name], *value)))
        elif name not in into or value not in (None, "", {}, []):
            into[name] = value
