"""The outline of a large trace: who is whose parent, what each subtree holds, and which rows are worth loading.

A page shows some hundred rows; reading a hundred thousand whole ones to choose them takes seconds. So of a large
trace only ids, starts, states and usage are read, and the rows to show are loaded by id. Pure: plain rows in.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

#: A trace with more runs than this is outlined.
LARGE = 5_000
#: Rows that are loaded of a large trace: whole levels from the top, then the ways to faults and to what is open.
ROWS = 1_000
#: Children of one row that are loaded.
BROOD = 500
FAULTS = 20

#: (run id, parent's or None, failed, tokens or None), by start.
LeanRow = tuple[str, str | None, bool, int | None]


@dataclass(slots=True)
class Outline:
    """The shape of one trace."""

    parents: dict[str, str | None] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    #: Runs below each run, and the tokens of its subtree; what has none is left out.
    below: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    #: Runs of the trace beyond the rows that were given.
    unread: int = 0


def outline(rows: Iterable[LeanRow]) -> Outline:
    """The shape of a trace from its lean rows; later rows of one run add what the earlier left out."""
    parents: dict[str, str | None] = {}
    tokens: dict[str, int] = {}
    failed: dict[str, None] = {}
    for run_id, parent, wrong, spent in rows:
        if parent is None:
            parents.setdefault(run_id)
        else:
            parents[run_id] = parent
        if spent:
            tokens[run_id] = spent
        if wrong:
            failed[run_id] = None
    broods: defaultdict[str | None, list[str]] = defaultdict(list)
    for run_id, parent in parents.items():
        broods[parent].append(run_id)
    tops = {parent for parent in broods if parent not in parents}
    roots = broods[None] if tops <= {None} else [one for one, parent in parents.items() if parent in tops]
    children = {
        parent: brood for parent, brood in broods.items() if parent is not None and parent not in tops
    }
    shape = Outline(parents, children, tokens=tokens, roots=roots, failed=list(failed))
    _add_up(shape)
    return shape


def _add_up(shape: Outline) -> None:
    """Totals of subtrees, leaves first. Rings hang under no root and are left alone."""
    children, below, tokens = shape.children, shape.below, shape.tokens
    own: defaultdict[str | None, int] = defaultdict(int)
    for run_id, spent in tokens.items():
        own[shape.parents[run_id]] += spent
    order = list(filter(children.__contains__, shape.roots))
    inner: list[list[str]] = []
    for run_id in order:  # grows while it is read: parents come before their children
        inner.append(list(filter(children.__contains__, children[run_id])))
        order += inner[-1]
    spent_below: dict[str, int] = {}
    for run_id, parents in zip(reversed(order), reversed(inner), strict=True):
        below[run_id] = len(children[run_id]) + sum(map(below.__getitem__, parents))
        spent_below[run_id] = own.get(run_id, 0) + sum(map(spent_below.__getitem__, parents))
    for run_id, spent in spent_below.items():
        if spent:
            tokens[run_id] = tokens.get(run_id, 0) + spent


def chosen(shape: Outline, opened: Collection[str] = ()) -> set[str]:
    """The runs to load: every level that fits, the ways down to faults, and the children of what is open."""
    kept: set[str] = set()
    level = shape.roots[:BROOD]
    while level and len(kept) + len(level) <= ROWS:
        kept.update(level)
        level = [child for run_id in level for child in shape.children.get(run_id, ())[:BROOD]]
    if not kept:
        kept.update(level[:ROWS])
    for run_id in (*shape.failed[:FAULTS], *opened):
        kept.update(_way_up(shape.parents, run_id))
    for run_id in opened:
        kept.update(shape.children.get(run_id, ())[:BROOD])
    return kept


def _way_up(parents: Mapping[str, str | None], run_id: str | None) -> set[str]:
    way: set[str] = set()
    while run_id is not None and run_id in parents and run_id not in way:
        way.add(run_id)
        run_id = parents[run_id]
    return way
