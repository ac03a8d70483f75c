"""Which rows of a tree a page sends: all of a small one, the open levels of a large one.

All of it lives in the address: `?closed=<id>` shuts a subtree, `?open=<id>` opens one that was left out,
`?level=2` opens two levels, `?find=text` leaves the rows that hold the text and the ways to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traces_app.tree import Node

LIMIT = 200
#: Of a large tree, the ways down to this many faults stand open from the start.
FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fold:
    """What the reader opened, closed and looked for, and the first row of the window."""

    opened: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    first: int = 0
    #: Levels that stand open; 0 leaves it to the size of the tree.
    level: int = 0
    find: str = ""
    #: The list's filter the reader came from: it stays in every link of the page.
    query: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows to send, in order; `shut` are those whose subtree stays behind."""

    nodes: tuple[Node, ...]
    shut: frozenset[str]
    #: Rows before and after the window that are open but not sent.
    before: int
    after: int
    #: Rows that hold the text looked for; None when nothing is.
    found: frozenset[str] | None = None


def window(nodes: Sequence[Node], fold: Fold, selected: str | None = None, limit: int = LIMIT) -> Window:
    """Cut the tree to at most `limit` rows. The selected row is inside unless the reader paged on."""
    found = matches(nodes, fold.find) if fold.find else None
    shut = _shut(nodes, fold, selected, limit) if found is None else set[str]()
    visible = _open_rows(nodes, shut) if found is None else _ways_to(nodes, found)
    first = min(fold.first, max(len(visible) - 1, 0))
    if not first and selected and found is None:
        place = next((at for at, node in enumerate(visible) if node.id == selected), 0)
        first = place - place % limit
    sent = visible[first : first + limit]
    shown = frozenset(node.id for node in sent if node.id in shut)
    return Window(tuple(sent), shown, first, len(visible) - first - len(sent), found)


def matches(nodes: Sequence[Node], text: str) -> frozenset[str]:
    """Ids of the rows whose name, graph, pool, model, error or id holds the text; case does not matter."""
    wanted = text.casefold()
    return frozenset(
        node.id
        for node in nodes
        if any(
            wanted in one.casefold()
            for one in (node.name, node.assistant_id, node.pool, node.model, node.error, node.id)
        )
    )


def _open_rows(nodes: Sequence[Node], shut: set[str]) -> list[Node]:
    visible: list[Node] = []
    under: int | None = None
    for node in nodes:
        if under is not None and node.depth > under:
            continue
        under = node.depth if node.id in shut else None
        visible.append(node)
    return visible


def _ways_to(nodes: Sequence[Node], found: frozenset[str]) -> list[Node]:
    parents = {node.id: node.parent_id for node in nodes}
    kept = set(found)
    for one in found:
        kept |= _ancestors(one, parents)
    return [node for node in nodes if node.id in kept]


def _shut(nodes: Sequence[Node], fold: Fold, selected: str | None, limit: int) -> set[str]:
    """Rows with children that are not open: by hand, or below the deepest level that fits."""
    parents = {node.id: node.parent_id for node in nodes}
    deepest = fold.level - 1 if fold.level else open_depth(nodes, limit)
    shut = {node.id for node in nodes if node.child_count and node.depth >= deepest}
    faults = [node.id for node in nodes if node.status == "error" or node.findings][:FAULTS_SHOWN]
    for wanted in () if fold.level else (*faults, selected or ""):
        shut -= _ancestors(wanted, parents)
    shut -= fold.opened
    for opened in fold.opened:
        shut -= _ancestors(opened, parents)
    return shut | {node.id for node in nodes if node.child_count and node.id in fold.closed}


def open_depth(nodes: Sequence[Node], limit: int) -> int:
    """The deepest level that can be shown with all levels above it in `limit` rows; at least the first."""
    counts: dict[int, int] = {}
    for node in nodes:
        counts[node.depth] = counts.get(node.depth, 0) + 1
    total = 0
    for depth in sorted(counts):
        total += counts[depth]
        if total > limit:
            return max(depth - 1, 1)
    return max(counts, default=0) + 1


def _ancestors(node_id: str, parents: dict[str, str | None]) -> set[str]:
    found: set[str] = set()
    above = parents.get(node_id)
    while above is not None and above not in found:
        found.add(above)
        above = parents.get(above)
    return found
