"""What stitching yields: one action as a tree, its findings, what is missing, and its story."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

Kind = Literal["caller", "dispatcher", "pool", "node", "llm", "tool"]
#: `missing` marks a placeholder: something names this node, but it never arrived.
NodeStatus = Literal["ok", "error", "running", "stalled", "missing"]
TreeState = Literal["running", "stalled", "complete", "partial"]
Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in one sentence: what happened where, what it caused, what to do."""

    code: str
    #: What happened between which two hops. Back-ticks mark code.
    title: str
    #: What that caused, and what was done about it here.
    effect: str
    evidence: Mapping[str, Any]
    #: The hop it blames: a pool in capitals, "dispatcher", or the caller's name.
    hop: str
    remedy: str
    #: Address of the page "How to fix and verify".
    howto: str
    severity: Severity = "warning"


class Node(Struct, frozen=True, gc=False):
    """One row of the tree."""

    id: str
    parent_id: str | None
    depth: int
    kind: Kind
    name: str
    assistant_id: str
    pool: str
    status: NodeStatus
    start: datetime | None
    end: datetime | None
    #: Roll-ups over the subtree; None when nothing in it reported any.
    tokens: int | None
    cost: Decimal | None
    #: What this row itself is billed for: leaves that are LLM calls only.
    own_tokens: int | None
    own_cost: Decimal | None
    model: str
    error: str
    run_id: str | None
    findings: tuple[Finding, ...] = ()
    child_count: int = 0
    #: Rows below this one, at any depth.
    descendant_count: int = 0
    first_token: datetime | None = None
    #: Milliseconds to add to start and end to be on the dispatcher's clock; 0 when the clocks agree.
    shift_ms: float = 0.0
    routing_version: int | None = None
    tags: tuple[str, ...] = ()
    #: "" for hops and callers without spans.
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """Something known to exist that has not arrived."""

    id: str
    #: Pool in capitals, "dispatcher" or "caller".
    source: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Story:
    """The facts of the story line: who asked, what was decided, what ran, how it ended, what it cost."""

    caller: str = ""
    action: str = ""
    assistants: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    routing_versions: tuple[int, ...] = ()
    #: Of the first call: the routing document that decided it, and the graph that the pool attests to have run.
    routing_digest: str = ""
    executed_graph_digest: str = ""
    request_ids: tuple[str, ...] = ()
    #: Every hop whose executed pool and graph are attested: True when all agree, None when none attests.
    decided_is_executed: bool | None = None
    start: datetime | None = None
    end: datetime | None = None
    status: NodeStatus = "ok"
    errors: int = 0
    llm_calls: int = 0
    #: Seconds in which at least one LLM call ran.
    llm_seconds: float = 0.0
    tokens: int | None = None
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StitchedTree:
    """One action. `nodes` is in display order: each parent right before its subtree."""

    trace_ids: tuple[str, ...]
    state: TreeState
    missing: tuple[Missing, ...]
    nodes: tuple[Node, ...]
    roots: tuple[str, ...]
    story: Story = field(default_factory=Story)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for node in self.nodes for finding in node.findings)

    @property
    def run_count(self) -> int:
        return sum(node.run_id is not None and node.status != "missing" for node in self.nodes)
