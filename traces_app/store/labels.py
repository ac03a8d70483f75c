"""What the list can be filtered by, as `field=value`: said by every run of a trace, not by its root alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from traces_app.store.records import RunPart

#: Labels of one field that a head keeps, the smallest first: whatever the order of arrival, the same ones stay.
_MAX_OF_A_FIELD = 100
#: A longer value of a root is cut to this.
MAX_VALUE = 200
#: A longer one of a run below is text and no label, and is left to the run itself.
_MAX_LABEL = 100
_PLAIN = frozenset({str, int, float, bool})
#: What a run counted has columns of its own and sorts nothing.
_COUNTS = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "llm.cost.")


def tags_of(parts: Iterable[RunPart]) -> set[str]:
    """The tags that any of the parts brings."""
    return {tag for part in parts for tag in part.facts.get("tags") or ()}


def labels_of(parts: Iterable[RunPart], tags: Iterable[str]) -> set[str]:
    """The labels the parts bring, and their tags. Runs of a trace repeat each other: different values are found first."""
    names: set[str] = set()
    places: set[tuple[str, str, str, str]] = set()
    said = {("tag", tag) for tag in tags}
    of_roots: set[tuple[str, Any]] = set()
    of_others: set[tuple[str, Any]] = set()
    for part in parts:
        names.add(part.name)
        places.add((part.assistant_id, part.pool, part.model, part.project))
        if error := part.facts.get("error"):
            said.add(("error", _flat(error[:MAX_VALUE])))
        if metadata := part.facts.get("metadata"):
            _add_values(of_roots if part.parent_id is None else of_others, metadata)
    for assistant, pool, model, project in places:
        said |= {("assistant", assistant), ("pool", pool.upper()), ("model", model), ("project", project)}
    of_roots.update([item for item in of_others if type(item[1]) is not str or len(item[1]) <= _MAX_LABEL])
    labels = {f"name={name[:MAX_VALUE]}" for name in names if name}
    labels.update([f"{field}={value[:MAX_VALUE]}" for field, value in said if value])
    labels.update(
        [
            _flat(f"meta.{key}={str(value)[:MAX_VALUE]}")
            for key, value in of_roots
            if type(value) in _PLAIN and not key.startswith(_COUNTS)
        ]
    )
    return labels


def _add_values(values: set[tuple[str, Any]], metadata: dict[str, Any]) -> None:
    try:
        values.update(metadata.items())
    except TypeError:  # an object or a list among them, which is no label
        values.update(item for item in metadata.items() if type(item[1]) in _PLAIN)


def _flat(text: str) -> str:
    return text.replace("\n", " ").replace("\0", " ")


def kept(labels: set[str]) -> list[str]:
    """The labels in order, no field with more than its share."""
    ordered = sorted(labels)
    if len(ordered) <= _MAX_OF_A_FIELD:
        return ordered
    kept: list[str] = []
    of_field: dict[str, int] = {}
    for label in ordered:
        field = label.partition("=")[0].partition(".")[0]
        of_field[field] = of_field.get(field, 0) + 1
        if of_field[field] <= _MAX_OF_A_FIELD:
            kept.append(label)
    return kept
