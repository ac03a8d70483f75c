"""Two actions side by side: the same step of each in one row, told apart by the way down to it.

A step is the same when it has the same kind and name, is the nth of that kind and name under its parent, and the
parents are the same. Pure: two stitched trees in, rows out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from traces_app.pages.rows import duration_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from traces_app.tree import Node, StitchedTree

#: Rows of a comparison; of larger actions those of the upper levels are shown.
ROWS = 500
#: A change worth a reader's eye is at least this part of the longer action, and of the step itself.
OF_ACTION, OF_STEP = 0.05, 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """One step: as it was in this action, as it was in the other; None where it did not happen."""

    depth: int
    this: Node | None
    other: Node | None
    this_seconds: float | None
    other_seconds: float | None
    #: Whether the change of its duration is worth a look and its own, not that of the steps inside it.
    notable: bool = False

    @property
    def node(self) -> Node:
        found = self.this or self.other
        assert found is not None  # noqa: S101 - a pair has at least one side
        return found

    @property
    def change(self) -> float | None:
        if self.this_seconds is None or self.other_seconds is None:
            return None
        return self.this_seconds - self.other_seconds


@dataclass(frozen=True, slots=True)
class Comparison:
    pairs: tuple[Pair, ...]
    #: Steps that only one of the two has.
    only_this: int
    only_other: int
    left_out: int
    #: The steps to look at, the largest change first.
    notable: tuple[Pair, ...]


def compare(this: StitchedTree, other: StitchedTree, now: datetime | None = None) -> Comparison:
    """All steps of both, in this action's order; what only the other has stands after its siblings."""
    moment = now or datetime.now(UTC)
    paired = _paired(this.nodes, other.nodes, moment)
    least = OF_ACTION * max((seconds for pair in paired for seconds in _both(pair)), default=0.0)
    notable = _notable(paired, least)
    marked = [replace(pair, notable=at in notable) for at, pair in enumerate(paired)]
    shown = _upper(marked)
    return Comparison(
        tuple(shown),
        sum(pair.other is None for pair in paired),
        sum(pair.this is None for pair in paired),
        len(marked) - len(shown),
        tuple(sorted((pair for pair in marked if pair.notable), key=lambda pair: -abs(pair.change or 0.0))),
    )


def _paired(this: Sequence[Node], other: Sequence[Node], now: datetime) -> list[Pair]:
    left, right = _families(_below_callers(this)), _families(_below_callers(other))
    pairs: list[Pair] = []
    waiting: list[tuple[int, Node | None, Node | None]] = _matched(left.get(None, []), right.get(None, []), 0)
    waiting.reverse()
    while waiting:
        depth, mine, theirs = waiting.pop()
        pairs.append(Pair(depth, mine, theirs, _seconds(mine, now), _seconds(theirs, now)))
        children = _matched(
            left.get(mine.id, []) if mine else [], right.get(theirs.id, []) if theirs else [], depth + 1
        )
        waiting.extend(reversed(children))
    return pairs


def _below_callers(nodes: Sequence[Node]) -> list[Node]:
    """Without the rows of whoever asked at the top: the same graph is called from here and there."""
    return [node for node in nodes if node.kind != "caller" or node.depth]


def _families(nodes: Iterable[Node]) -> dict[str | None, list[Node]]:
    """Children by parent, in display order; a row whose parent is not among them stands at the top."""
    known: set[str] = set()
    families: dict[str | None, list[Node]] = {}
    for node in nodes:
        families.setdefault(node.parent_id if node.parent_id in known else None, []).append(node)
        known.add(node.id)
    return families


def _matched(
    mine: Sequence[Node], theirs: Sequence[Node], depth: int
) -> list[tuple[int, Node | None, Node | None]]:
    waiting: dict[tuple[str, str], list[Node]] = {}
    for node in theirs:
        waiting.setdefault((node.kind, node.name), []).append(node)
    found: list[tuple[int, Node | None, Node | None]] = []
    for node in mine:
        same = waiting.get((node.kind, node.name))
        found.append((depth, node, same.pop(0) if same else None))
    left = {id(node) for family in waiting.values() for node in family}
    return found + [(depth, None, node) for node in theirs if id(node) in left]


def _seconds(node: Node | None, now: datetime) -> float | None:
    spent: timedelta | None = duration_of(node, now) if node else None
    return spent.total_seconds() if spent is not None else None


def _both(pair: Pair) -> Iterable[float]:
    return (seconds for seconds in (pair.this_seconds, pair.other_seconds) if seconds is not None)


def _notable(paired: Sequence[Pair], least: float) -> set[int]:
    """Places of the steps that themselves changed: what their children explain of a change is not theirs."""
    explained = [0.0] * len(paired)
    way: list[int] = []
    above: list[int | None] = []
    for at, pair in enumerate(paired):
        del way[pair.depth :]
        above.append(way[-1] if way else None)
        if way:
            explained[way[-1]] += pair.change or 0.0
        way.append(at)
    found = set()
    for at, pair in enumerate(paired):
        change, parent = pair.change, above[at]
        longest = max(_both(pair), default=0.0)
        if change is None:
            alone = parent is None or (paired[parent].this is not None and paired[parent].other is not None)
            if alone and longest > least > 0:
                found.add(at)
            continue
        own = abs(change) - min(max(explained[at] * math.copysign(1.0, change), 0.0), abs(change))
        if own > least and own > OF_STEP * longest:
            found.add(at)
    return found


def _upper(pairs: Sequence[Pair]) -> list[Pair]:
    """Whole levels from the top as long as they fit, and what is notable."""
    counts: dict[int, int] = {}
    for pair in pairs:
        counts[pair.depth] = counts.get(pair.depth, 0) + 1
    total, deepest = 0, -1
    for depth in sorted(counts):
        total += counts[depth]
        if total > ROWS and deepest >= 0:
            break
        deepest = depth
    return [pair for pair in pairs if pair.depth <= deepest or pair.notable][:ROWS]
