"""Facts beside the story line that are worked out from the rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from traces_app.tree import Node, StitchedTree

MISROUTED = "decided-not-executed"


@dataclass(frozen=True, slots=True)
class Facts:
    """The row of facts under the story line; None where nothing is known."""

    state: str
    state_text: str
    duration: timedelta | None
    llm_seconds: float | None
    llm_share: float | None
    overhead: timedelta | None
    to_fix: int
    to_know: int
    first_error: Node | None


def facts_of(tree: StitchedTree, now: datetime | None = None) -> Facts:
    """Work out the facts of an action; a running one is measured up to now."""
    story = tree.story
    end = story.end if tree.state != "running" else (now or datetime.now(UTC))
    duration = end - story.start if story.start and end else None
    seconds = duration.total_seconds() if duration else 0.0
    errors = [node for node in tree.nodes if node.status == "error"]
    findings = tree.findings
    return Facts(
        state=tree.state,
        state_text=_state_text(tree),
        duration=duration,
        llm_seconds=story.llm_seconds if story.llm_calls else None,
        llm_share=story.llm_seconds / seconds if story.llm_calls and seconds > 0 else None,
        overhead=overhead(tree.nodes),
        to_fix=sum(finding.severity != "info" for finding in findings),
        to_know=sum(finding.severity == "info" for finding in findings),
        first_error=max(errors, key=lambda node: node.depth, default=None),
    )


def _state_text(tree: StitchedTree) -> str:
    spans = tree.run_count
    absent = sum(one.count for one in tree.missing)
    unit = "span" if spans + absent == 1 else "spans"
    if tree.state == "complete":
        return f"complete, {spans:,} of {spans:,} {unit}"
    if tree.state == "partial":
        sources = ", ".join(dict.fromkeys(one.source for one in tree.missing))
        return f"partial, {absent} missing from {sources}"
    return f"{tree.state}, {spans:,} {unit} so far"


def overhead(nodes: tuple[Node, ...]) -> timedelta | None:
    """Time in dispatchers that no pool accounts for; None when no hop has both ends."""
    hops = {node.id: node for node in nodes if node.kind == "dispatcher" and node.start and node.end}
    spent, counted = timedelta(), False
    for node in nodes:
        hop = hops.get(node.parent_id or "")
        if hop and node.kind == "pool" and node.start and node.end and hop.start and hop.end:
            spent += max((hop.end - hop.start) - (node.end - node.start), timedelta())
            counted = True
    return spent if counted else None


def default_selection(tree: StitchedTree) -> Node | None:
    """The row worth reading first: the deepest failure, else the dearest LLM call, else the first run."""
    runs = [node for node in tree.nodes if node.run_id and node.status != "missing"]
    failed = [node for node in runs if node.status == "error"]
    if failed:
        return max(failed, key=lambda node: node.depth)
    calls = [node for node in runs if node.kind == "llm"]
    if calls:
        return max(calls, key=lambda node: (node.own_cost or 0, node.own_tokens or 0))
    return runs[0] if runs else None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One hop where what ran is not what was decided; each part is (what, decided, executed)."""

    parts: tuple[tuple[str, str, str], ...]
    assistant_id: str
    row: str


def mismatches(tree: StitchedTree) -> tuple[Mismatch, ...]:
    """What the findings say was decided and what was executed, one entry a hop."""
    return tuple(
        Mismatch(_parted(found.evidence), node.assistant_id, node.id)
        for node in tree.nodes
        for found in node.findings
        if found.code == MISROUTED
    )


def _parted(evidence: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (what, str(evidence[f"decided_{what}"]), str(evidence.get(f"executed_{what}", "")))
        for what in ("pool", "graph", "assistant")
        if f"decided_{what}" in evidence
    )
