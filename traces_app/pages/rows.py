"""The rows of the run tree as the template writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

from django.utils.html import escape

from traces_app.charts import minimap, waterfall
from traces_app.charts.scale import Scale
from traces_app.critical import critical_path
from traces_app.pages.window import LIMIT, Fold, Window, window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from django.utils.safestring import SafeString

    from traces_app.critical import Wait
    from traces_app.tree import Finding, Node, StitchedTree

KIND_WORDS = {"pool": "pool root", "llm": "LLM"}
MAX_INDENT = 12
#: Rows that a page sends at first: more than a screen shows. Those that follow come once it answers.
OPENING = 32
#: Trees with more rows than this have a map of their time above them.
MAPPED = 200
#: Levels offered by number; the keys 1 to 9 reach them too.
MAX_LEVEL = 5
TONES = {"error": "bad", "warning": "warn", "info": "info"}
MARKS = {"error": "circle-x", "warning": "triangle-alert", "info": "info"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the treegrid. `expanded` is None for a row without children."""

    node: Node
    #: What the row is called, and in a quieter voice what it is.
    name: str
    word: str
    level: int
    indent: int
    position: int
    siblings: int
    expanded: bool | None
    #: Its children were not sent; opening it asks the server.
    more: bool
    href: str
    fold_href: str
    selected: bool
    tabbable: bool
    duration: timedelta | None
    tokens: int | None
    bar: SafeString
    #: What marks the whole row: of a plane, with the text looked for, absent, its figures those of all below it.
    classes: str
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding in the tree, at the place it happened."""

    finding: Finding
    tone: str
    mark: str
    #: `finding-1` is where the count of findings links to; empty for those that ask nothing.
    anchor: str


@dataclass(frozen=True, slots=True)
class TreeTable:
    """Everything the tree's template needs."""

    rows: tuple[Row, ...]
    #: Rows of the window that are not among `rows` yet, and where one without scripts finds them.
    rest: int
    rest_href: str
    axis: SafeString
    total: int
    window: Window
    before_href: str
    after_href: str
    live: bool
    #: (label, address, whether it is the one shown) of each way to fold the whole tree.
    levels: tuple[tuple[str, str, bool], ...]
    fold: Fold
    #: The step that the action itself waited for longest; None before it has ended, and when it is but one step.
    longest: LongestWait | None
    #: Only over a large tree: the map of its time, and its numbers by tenths.
    map: SafeString | None = None
    map_rows: tuple[MapRow, ...] = ()


@dataclass(frozen=True, slots=True)
class LongestWait:
    """How long the end waited for one step and nothing inside it, and what share of the whole that is."""

    node: Node
    href: str
    time: timedelta
    share: float


@dataclass(frozen=True, slots=True)
class MapRow:
    """A tenth of the action's time: how long after its start, and the most steps at work at once."""

    after: float
    working: int
    llm: int
    failed: int
    longest: Node | None
    href: str


def tree_table(
    tree: StitchedTree,
    *,
    base: str,
    fold: Fold,
    selected: str | None,
    part: Literal["all", "opening", "rest"] = "all",
    now: datetime | None = None,
) -> TreeTable:
    """`base` is the action's address, `/traces/<id>/`; `selected` the id of the row whose panel is open.

    `opening` are the first rows of the window, with the selected one and all faults among them, `rest` those that follow.
    """
    moment = now or datetime.now(UTC)
    cut = window(tree.nodes, fold, selected)
    split = len(cut.nodes) if part == "all" else _opening(cut.nodes, selected)
    sent, left = (cut.nodes[split:], 0) if part == "rest" else (cut.nodes[:split], len(cut.nodes) - split)
    scale = scale_of(tree, moment)
    behind = waterfall.grid(scale)
    path = critical_path(tree.nodes)
    places = _places(tree.nodes, sent)
    anchors = count(1)
    focus = (
        selected if any(node.id == selected for node in cut.nodes) else cut.nodes[0].id if cut.nodes else ""
    )
    places_of_time = minimap.columns(tree.nodes, scale, moment) if len(tree.nodes) > MAPPED else []
    hrefs = [step_href(one.longest, base, fold.query) if one.longest else "" for one in places_of_time]
    rows = tuple(
        Row(
            node=node,
            name="dispatch" if node.kind == "dispatcher" else node.name,
            word=_word(node),
            level=node.depth + 1,
            indent=min(node.depth, MAX_INDENT),
            position=places[node.id][0],
            siblings=places[node.id][1],
            expanded=(node.id not in cut.shut) if node.child_count else None,
            more=node.id in cut.shut,
            href=step_href(node, base, fold.query),
            fold_href=_fold_href(node, fold, cut),
            selected=node.id == selected,
            tabbable=node.id == focus,
            duration=duration_of(node, moment),
            tokens=node.tokens,
            bar=waterfall.bar(node, scale, moment, behind, _waited(path.get(node.id), node.id in cut.shut)),
            classes=_classes(node, cut),
            findings=_findings(node, anchors),
        )
        for node in sent
    )
    return TreeTable(
        rows=rows,
        rest=left,
        rest_href=_query(fold, first=cut.before + split),
        axis=waterfall.axis(scale),
        total=len(tree.nodes),
        window=cut,
        before_href=_query(fold, first=max(cut.before - LIMIT, 0)) if cut.before else "",
        after_href=_query(fold, first=cut.before + len(cut.nodes)) if cut.after else "",
        live=tree.state == "running",
        levels=_levels(tree, fold),
        fold=fold,
        longest=_longest(tree.nodes, path, lambda node: step_href(node, base, fold.query)),
        map=minimap.drawn(places_of_time, cut.nodes, scale, moment, [escape(href) for href in hrefs])
        if places_of_time
        else None,
        map_rows=_map_rows(places_of_time, hrefs, scale.seconds),
    )


def _opening(nodes: Sequence[Node], selected: str | None) -> int:
    """How many rows a page begins with: all of them when few come later, or one that is looked for among them."""
    later = nodes[OPENING:]
    sought = any(node.id == selected or node.findings or node.status == "error" for node in later)
    return len(nodes) if sought or len(later) < OPENING // 2 else OPENING


def _waited(wait: Wait | None, shut: bool) -> Sequence[tuple[datetime, datetime]]:
    """The stretches of the critical path that a row stands for: of a shut one, those of all inside it."""
    if wait is None:
        return ()
    return ((wait.start, wait.end),) if shut else wait.own


def _longest(
    nodes: Sequence[Node], path: Mapping[str, Wait], href: Callable[[Node], str]
) -> LongestWait | None:
    if len(path) < 2:
        return None
    node = max((one for one in nodes if one.id in path), key=lambda one: path[one.id].own_time)
    time, whole = path[node.id].own_time, sum((wait.own_time for wait in path.values()), timedelta())
    return LongestWait(node, href(node), time, time / whole)


def _map_rows(found: Sequence[minimap.Column], hrefs: Sequence[str], seconds: float) -> tuple[MapRow, ...]:
    step = minimap.COLUMNS // 10
    rows = []
    for first in range(0, len(found), step):
        part = found[first : first + step]
        began = [(one.longest, href) for one, href in zip(part, hrefs[first:], strict=False) if one.longest]
        longest, href = max(began, key=lambda pair: _took(pair[0]), default=(None, ""))
        rows.append(
            MapRow(
                seconds * first / minimap.COLUMNS,
                max(one.working for one in part),
                max(one.llm for one in part),
                max(one.failed for one in part),
                longest,
                href,
            )
        )
    return tuple(rows)


def _took(node: Node) -> float:
    return (node.end - node.start).total_seconds() if node.start and node.end else math.inf


def step_href(node: Node, base: str, query: str = "") -> str:
    """The address of a step's panel; the list's filter goes along."""
    where = f"{base}runs/{node.run_id}" if node.run_id else f"{base}hops/{quote(node.id, safe='')}"
    return f"{where}?{urlencode({'q': query})}" if query else where


def _levels(tree: StitchedTree, fold: Fold) -> tuple[tuple[str, str, bool], ...]:
    deepest = max((node.depth for node in tree.nodes), default=0) + 1
    steps = range(1, min(deepest, MAX_LEVEL + 1))
    plain = Fold(query=fold.query)
    return (
        *((str(level), _query(replace(plain, level=level)), fold.level == level) for level in steps),
        ("all", _query(replace(plain, level=deepest)), fold.level >= deepest),
    )


def scale_of(tree: StitchedTree, now: datetime) -> Scale:
    """The axis of the whole action; an action still running ends now, an empty one lasts a millisecond."""
    start = tree.story.start or now
    end = now if tree.state == "running" or tree.story.end is None else tree.story.end
    return Scale(start, max((end - start).total_seconds(), 0.001))


def duration_of(node: Node, now: datetime) -> timedelta | None:
    """How long it took; of a running row how long it takes so far; unknown without a start."""
    if node.start is None:
        return None
    if node.end is None:
        return max(now - node.start, timedelta()) if node.status == "running" else None
    return max(node.end - node.start, timedelta())


def _word(node: Node) -> str:
    if node.kind != "dispatcher" or not node.pool:
        return KIND_WORDS.get(node.kind, node.kind)
    return f"v{node.routing_version} → {node.pool}" if node.routing_version is not None else f"→ {node.pool}"


def _classes(node: Node, cut: Window) -> str:
    marks = {
        "is-plane": node.kind in waterfall.RAILS,
        "is-rollup": node.child_count,
        "is-found": cut.found is not None and node.id in cut.found,
        "is-absent": node.status == "missing",
    }
    return " ".join(name for name, holds in marks.items() if holds)


def _findings(node: Node, anchors: Iterator[int]) -> tuple[FindingRow, ...]:
    return tuple(
        FindingRow(
            one,
            TONES[one.severity],
            MARKS[one.severity],
            "" if one.severity == "info" else f"finding-{next(anchors)}",
        )
        for one in node.findings
    )


def _places(nodes: Iterable[Node], sent: Iterable[Node]) -> dict[str, tuple[int, int]]:
    """(position among its siblings, how many siblings) of each row that is sent, for assistive technology."""
    families: dict[str | None, list[str]] = {node.parent_id: [] for node in sent}
    for node in nodes:
        if node.parent_id in families:
            families[node.parent_id].append(node.id)
    return {
        node_id: (at, len(family))
        for family in families.values()
        for at, node_id in enumerate(family, start=1)
    }


def _fold_href(node: Node, fold: Fold, cut: Window) -> str:
    if not node.child_count:
        return ""
    if node.id in cut.shut:
        return _query(replace(fold, opened=fold.opened | {node.id}, closed=fold.closed - {node.id}))
    return _query(replace(fold, opened=fold.opened - {node.id}, closed=fold.closed | {node.id}))


def _query(fold: Fold, first: int | None = None) -> str:
    start = fold.first if first is None else first
    pairs = [("open", one) for one in sorted(fold.opened)] + [("closed", one) for one in sorted(fold.closed)]
    others = (("from", start), ("level", fold.level), ("find", fold.find), ("q", fold.query))
    return "?" + urlencode([*pairs, *((name, value) for name, value in others if value)])
