"""A stitched tree as plain text, for terminals: `make demo` and `manage.py show_trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from traces_app.tree import Finding, Node, StitchedTree

WIDTH = 56


def render(tree: StitchedTree, *, limit: int = 200) -> str:
    """At most `limit` rows; what is left out is counted."""
    lines = [_headline(tree)]
    last_in_level: list[bool] = []
    for index, node in enumerate(tree.nodes[:limit]):
        lines.append(_row(node, _branch(node, _is_last(index, tree), last_in_level)))
        lines += [f"      ! {line}" for finding in node.findings for line in _sentences(finding)]
    if len(tree.nodes) > limit:
        lines.append(f"… {len(tree.nodes) - limit:,} more rows")
    lines += [f"missing: {gap.count:,} from {gap.source} ({gap.reason})" for gap in tree.missing[:20]]
    return "\n".join(lines) + "\n"


def _headline(tree: StitchedTree) -> str:
    story = tree.story
    proof = {True: "decided = executed", False: "decided ≠ executed", None: ""}[story.decided_is_executed]
    versions = ", ".join(f"v{version}" for version in story.routing_versions)
    state = {
        "complete": f"complete, {tree.run_count} of {tree.run_count} spans",
        "partial": f"partial, {sum(gap.count for gap in tree.missing)} missing",
    }.get(tree.state, tree.state)
    facts = [story.caller, versions, proof, story.status, state, _seconds(story.start, story.end)]
    facts += [f"{story.tokens:,} tokens" if story.tokens is not None else ""]
    facts += [f"${story.cost:.4f}" if story.cost is not None else ""]
    return " · ".join(_inert(fact) for fact in facts if fact)


def _branch(node: Node, is_last: bool, last_in_level: list[bool]) -> str:
    """The lines that lead to a row; `last_in_level` remembers which ancestors were last children."""
    del last_in_level[node.depth :]
    last_in_level.append(is_last)
    if node.depth == 0:
        return ""
    rails = "".join("   " if last else "│  " for last in last_in_level[1:-1][:20])
    return rails + ("└─ " if is_last else "├─ ")


def _is_last(index: int, tree: StitchedTree) -> bool:
    """No row after this one's subtree belongs to the same parent."""
    node = tree.nodes[index]
    after = index + node.descendant_count + 1
    return after >= len(tree.nodes) or tree.nodes[after].parent_id != node.parent_id


def _row(node: Node, branch: str) -> str:
    name = f"{branch}{node.kind:<10} {_inert(node.name)}"
    where = node.pool if node.kind in ("dispatcher", "pool") else ""
    facts = [where, node.status if node.status != "ok" else "", _seconds(node.start, node.end)]
    if node.own_tokens is not None:
        facts.append(f"{node.own_tokens:,} tokens")
    if node.own_cost is not None:
        facts.append(f"${node.own_cost:.4f}")
    if node.error:
        facts.append(_inert(node.error.strip().splitlines()[-1])[:100])
    return f"{name:<{WIDTH}}  {'  '.join(fact for fact in facts if fact)}".rstrip()


def _sentences(finding: Finding) -> Iterator[str]:
    yield _inert(f"{finding.title} {finding.effect}")
    yield _inert(f"{finding.remedy} ({finding.howto})")


def _seconds(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    seconds = (end - start).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _inert(text: str) -> str:
    """Names come from strangers: no control character reaches the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
