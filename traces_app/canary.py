"""One marked call through the whole path, and a judgement of the tree it left."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.sdk import LangGraphError, run_graph_with_meta
from traces_app import selectors

if TYPE_CHECKING:
    from traces_app.tree import StitchedTree

CALL_S = 10.0
#: Spans are on their way for about a second after the answer.
ARRIVE_S = 4.0
POLL_S = 0.2
MARK = "agentic.canary"


@dataclass(frozen=True, slots=True)
class Check:
    """One statement about the call; `ok` None when an earlier failure keeps it from being judged."""

    text: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    assistant_id: str
    #: Opens the action; "" when the call never reached the dispatcher.
    action_id: str
    seconds: float
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def verify(assistant_id: str, *, code: str = "") -> Verdict:
    """Call a probe, wait for its tree, judge it. With `code`, that finding must be absent too. Takes seconds."""
    begun = time.monotonic()
    try:
        marked = {"metadata": {MARK: str(uuid.uuid4())}}
        result = run_graph_with_meta(assistant_id, {"x": 1}, timeout=CALL_S, config=marked)
    except LangGraphError as failure:
        answered = Check("The call was answered", False, str(failure))
        return Verdict(assistant_id, "", time.monotonic() - begun, (answered, *_unknown(code)))
    tree = _wait(result.langsmith_run_id)
    answered = Check("The call was answered", True, f"by {result.pool} in {result.timings.total_ms:.0f} ms")
    checks = (answered, *(judge(tree, code) if tree else _unknown(code)))
    return Verdict(assistant_id, result.langsmith_run_id, time.monotonic() - begun, checks)


def _wait(run_id: str) -> StitchedTree | None:
    """The tree once it has settled, or as it stands when the time is up."""
    until = time.monotonic() + ARRIVE_S
    while True:
        tree = selectors.get_tree(run_id) if run_id else None
        if (tree and tree.state == "complete") or time.monotonic() >= until:
            return tree
        time.sleep(POLL_S)


def judge(tree: StitchedTree, code: str = "") -> tuple[Check, ...]:
    """What a healthy path leaves behind. Pure."""
    hop = any(node.kind == "dispatcher" for node in tree.nodes)
    pool = any(node.kind == "pool" and node.status == "ok" for node in tree.nodes)
    to_fix = [one for one in tree.findings if one.severity != "info"]
    proof = tree.story.decided_is_executed
    return (
        Check("The dispatcher kept its record of the call", hop),
        Check("The pool's spans arrived", pool, "" if pool else f"the action is {tree.state}"),
        Check("Everything stands in one tree", len(tree.roots) == 1, f"{len(tree.roots)} root(s)"),
        Check("Decided = executed", proof is True, "" if proof is not None else "no worker attests what ran"),
        Check("Nothing is to fix", not to_fix, "; ".join(one.title for one in to_fix)),
        *_asked(code, seen=any(one.code == code for one in tree.findings)),
    )


def _asked(code: str, *, seen: bool | None) -> tuple[Check, ...]:
    if not code:
        return ()
    return (Check(f"`{code}` did not occur", None if seen is None else not seen),)


def _unknown(code: str) -> tuple[Check, ...]:
    texts = (
        "The dispatcher kept its record of the call",
        "The pool's spans arrived",
        "Everything stands in one tree",
        "Decided = executed",
        "Nothing is to fix",
    )
    return (*(Check(text, None) for text in texts), *_asked(code, seen=None))
