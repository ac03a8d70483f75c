"""Tokens and cost of a tree, counted once: only LLM calls without a billed call below them are billed.

SDKs copy usage on to every run whose output repeats it; adding those up would count a call per level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from traces_app.links import Forest
    from traces_app.rows import RunRow
    from traces_app.tree import Kind


@dataclass(slots=True)
class Bill:
    """Roll-ups over a subtree and the row's own share; None when nothing was reported."""

    tokens: int | None = None
    cost: Decimal | None = None
    own_tokens: int | None = None
    own_cost: Decimal | None = None


#: The bill of what reported nothing.
NOTHING = Bill()


def roll_up(forest: Forest, kinds: Mapping[str, Kind]) -> dict[str, Bill]:
    """The bill of every node in whose subtree something was reported, children before parents, without recursion."""
    bills: dict[str, Bill] = {}
    for node_id in reversed(forest.order):
        bill, run = bills.get(node_id), forest.runs.get(node_id)
        if run is not None and kinds[node_id] == "llm":
            bill = bill or Bill()
            if bill.tokens is None:
                bill.tokens = bill.own_tokens = _tokens(run)
            if bill.cost is None:
                bill.cost = bill.own_cost = run.cost
            bills[node_id] = bill
        parent = forest.parents[node_id]
        if parent is not None and bill is not None:
            _add(bills.setdefault(parent, Bill()), bill)
    return bills


def _add(total: Bill, part: Bill) -> None:
    if part.tokens is not None:
        total.tokens = (total.tokens or 0) + part.tokens
    if part.cost is not None:
        total.cost = part.cost if total.cost is None else total.cost + part.cost


def _tokens(run: RunRow) -> int | None:
    if run.total_tokens is not None:
        return run.total_tokens
    if run.prompt_tokens is None and run.completion_tokens is None:
        return None
    return (run.prompt_tokens or 0) + (run.completion_tokens or 0)
