"""Many parts, one run: the same answer whatever the order and number in which they came."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from traces_app.store.records import RunPart, Status

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


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one run adds to the totals of its trace; differences of shares keep the totals exact."""

    open: int
    errors: int
    llm: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal = Decimal(0)


#: Of runs that are not billed, by whether they are open and whether they failed.
_PLAIN = {(o, e): Share(open=int(o), errors=int(e)) for o in (False, True) for e in (False, True)}
_FAILED = int(Status.ERROR)


def share_of(run: RunPart) -> Share:
    """Return what a merged run adds. Only `llm` runs are billed, or an annotated root would count twice."""
    plain = _PLAIN[run.end is None, run.status == _FAILED]
    if run.run_type != "llm":
        return plain
    prompt, completion = run.prompt_tokens or 0, run.completion_tokens or 0
    total = run.total_tokens or prompt + completion
    return Share(plain.open, plain.errors, True, prompt, completion, total, run.cost or Decimal(0))
