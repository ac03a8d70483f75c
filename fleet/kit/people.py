"""People whom a text names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.kit.evidence import found_in
from fleet.kit.names import same_person
from fleet.kit.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.kit.evidence import Evidence


def proven(people: list[dict[str, Any]], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Each person once whose name stands in a text, with where; a role or address that stands nowhere is dropped."""
    kept = []
    for one in people:
        name = clean(one.get("name"), 120)
        text = found_in(name, evidence)
        if text is None:
            continue
        facts = {key: clean(one.get(key), 320) for key in ("role", "email")}
        true = {key: value if found_in(value, evidence) else "" for key, value in facts.items()}
        kept.append({"name": name, **true, "source": text["source"], "url": text["url"]})
    return merged(kept)


def merged(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each person once, as first given; what a later entry knows of them fills what is empty."""
    known: list[dict[str, Any]] = []
    for one in people:
        same = next((other for other in known if _same(one, other)), None)
        if same is None:
            known.append(dict(one))
        else:
            same.update({key: value for key, value in one.items() if value and not same.get(key)})
    return known


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    mine, theirs = (clean(entry.get("email"), 320).lower() for entry in (one, other))
    if mine and theirs and mine != theirs:
        return False  # two of one name
    names = (clean(entry.get("name"), 120) for entry in (one, other))
    return same_person(*names, one_address=bool(mine) and mine == theirs)
