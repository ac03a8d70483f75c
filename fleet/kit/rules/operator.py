"""Offline rules of `admin_chat`: which read answers a question, and the reads as sentences."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from fleet.kit.text import clean, listed, section

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.kit.rules import Rule

_GRAPH_ID = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
_TRACE_ID = re.compile(r"\b(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32})\b")
#: What is asked → (tool, argument; `{graph}` is the graph the question names). The first match wins.
_QUESTIONS = (
    (r"\bwhere (?:does|do|is|will)\b.*{graph}|\b(?:which|what) pool\b.*{graph}|\broute[sd]?\b.*{graph}|{graph}.*\b(?:run|go|live|routed)\b", "route", "{graph}"),
    (r"\b(?:fail\w*|errors?|broken?|went wrong|crash\w*)\b.*{graph}|{graph}.*\b(?:fail\w*|errors?|broken?)\b", "traces", "graph:{graph} status:error"),
    (r"\b(?:findings?|diagnos\w*|lost|stripped|wrong with)\b", "findings", ""),
    (r"\b(?:fail\w*|errors?|went wrong|crash\w*)\b", "traces", "status:error"),
    (r"\b(?:slow\w*|took long|latency)\b", "traces", "latency:>=5s"),
    (r"\b(?:drift|disagree\w*|in step|as published)\b", "drift", ""),
    (r"\b(?:promises?|ledger|twice|suppress\w*|stop(?:ped)? mails?)\b", "ledger", ""),
    (r"\bcampaigns?\b", "campaigns", ""),
    (r"\b(?:feedback|ratings?|scores?|rated)\b", "feedback", ""),
    (r"{graph}", "traces", "graph:{graph}"),
    (r"\b(?:which|what|list|how many) graphs?\b|\bdisabled\b", "graphs", ""),
    (r"\b(?:fleet|pools?|health\w*|up|down|busy|load|queue\w*|database|dispatcher|replicas?|running)\b", "fleet", ""),
    (r"\b(?:traces?|actions?|runs?|requests?|latest|newest|happened)\b", "traces", ""),
)  # fmt: skip


def decide(facts: dict[str, Any]) -> dict[str, Any]:
    """One read that fits the question, then its result as sentences."""
    reads = [section(one) for one in facts.get("reads") or []]
    if reads:
        last = reads[-1]
        if not last.get("ok"):
            return _decision("cannot", answer=f"The read failed: {clean(last.get('problem'))}")
        return _decision("answer", answer=_TELL[clean(last.get("tool"))](last))
    question = clean(facts.get("question"), 1_000)
    if trace := _TRACE_ID.search(question):
        return _decision("read", "trace", trace[0])
    graph = _GRAPH_ID.search(question)
    for pattern, tool, argument in _QUESTIONS:
        if "{graph}" in pattern and not graph:
            continue
        name = graph[0] if graph else ""
        if re.search(pattern.replace("{graph}", re.escape(name)), question, re.IGNORECASE):
            return _decision("read", tool, argument.replace("{graph}", name))
    known = "the fleet's health, graphs, routing, traces, findings, campaigns, feedback"
    return _decision("cannot", answer=f"The offline rules know no read for this question. They can tell about {known}; set LLM_MODEL for more.")  # fmt: skip


def _decision(decision: str, tool: str = "", argument: str = "", answer: str = "") -> dict[str, Any]:
    return {"decision": decision, "tool": tool, "argument": argument, "answer": answer[:2_000]}


def _fleet(read: dict[str, Any]) -> str:
    found = section(read.get("result"))
    pools = [section(pool) for pool in found.get("pools") or []]
    ill = [pool for pool in pools if pool.get("state") != "healthy"]
    head = (
        f"All {len(pools)} pools are healthy."
        if not ill
        else f"{len(ill)} of {len(pools)} pools {'is' if len(ill) == 1 else 'are'} not healthy: "
        + listed([f"{pool.get('slug')} is {pool.get('state')}" for pool in ill]) + "."
    )  # fmt: skip
    load = listed([f"{pool.get('slug')} serves {pool.get('assistants')} graphs with {pool.get('active')} of {pool.get('limit')} places taken" for pool in pools])  # fmt: skip
    rest = "" if found.get("dispatcher_answers") else " The dispatcher does not answer."
    version = found.get("routing_version")
    return f"{head} {load}. The database is {found.get('database') or 'not known'} and routing version {version} is live.{rest}"


def _graphs(read: dict[str, Any]) -> str:
    rows = _rows(read)
    by_pool = Counter(clean(row.get("pool")) for row in rows)
    off = [clean(row.get("assistant_id")) for row in rows if row.get("enabled") is False]
    spread = listed([f"{count} in {pool}" for pool, count in sorted(by_pool.items())])
    total = section(read.get("result")).get("count")
    shown = "" if total == len(rows) else f" (the first {len(rows)} of them counted by pool)"
    return f"{total} graphs are registered{shown}: {spread}. " + (f"Disabled: {listed(off)}." if off else "None of these is disabled.")  # fmt: skip


def _route(read: dict[str, Any]) -> str:
    found = section(read.get("result"))
    name = found.get("assistant_id")
    if found.get("status") != 200:
        return f"{name} is not routed: {clean(found.get('reason')) or clean(found.get('code'))}."
    return f"{name} runs in pool {found.get('pool')}: {clean(found.get('reason'))} (routing version {found.get('version')})."


def _traces(read: dict[str, Any]) -> str:
    rows, asked = _rows(read), clean(read.get("argument"))
    failed = "status:error" in asked
    if not rows:
        return f"No action {'failed' if failed else 'is recorded'} that matches “{asked}”." if asked else "No action is recorded."  # fmt: skip
    graphs = Counter(clean(row.get("assistant_id")) or clean(row.get("name")) for row in rows)
    named = graphs.most_common(5 if len(graphs) > 6 else 6)
    often = (", ".join if len(graphs) > 6 else listed)([f"{name} ({count})" for name, count in named])
    newest = rows[0]
    what = "failed actions" if failed else "actions of 5 s and more" if "latency:" in asked else "actions"
    count = len(rows)
    head = (
        f"The newest {count} {what} are of these graphs"
        if count >= 40
        else f"There {'is 1 ' + what.replace('actions', 'action') if count == 1 else f'are {count} {what}'}"
    )
    more = f" and {len(graphs) - 5} other graphs" if len(graphs) > 6 else ""
    return (
        f"{head}: {often}{more}. The newest is {clean(newest.get('name'))} of {_time(newest.get('start'))}, "
        f"status {clean(newest.get('status'))}, id {clean(newest.get('id'))}."
    )


def _trace(read: dict[str, Any]) -> str:
    found = section(read.get("result"))
    nodes = [section(node) for node in found.get("nodes") or []]
    if not nodes:
        return f"No action with the id {clean(read.get('argument'))} is stored."
    bad = [clean(node.get("name")) for node in nodes if node.get("status") == "error"]
    pools = sorted({clean(node.get("pool")) for node in nodes} - {""})
    gone = (
        ""
        if not found.get("missing")
        else f" Missing: {listed([clean(one) for one in found['missing']][:5])}."
    )
    return (
        f"The action {clean(nodes[0].get('name'))} is {clean(found.get('state'))}, with {found.get('count')} steps over {listed(pools) or 'no pool'}. "
        + (f"Failed: {listed(bad[:5])}." if bad else "No step failed.") + gone
    )  # fmt: skip


def _findings(read: dict[str, Any]) -> str:
    rows = _rows(read)
    if not rows:
        return "Nothing is open: no finding in the traces."
    first = rows[0]
    lines = listed([f"{clean(row.get('title'))} ({row.get('count', 1)}x)" for row in rows[:5]])
    return f"{len(rows)} open finding{'s' * (len(rows) > 1)}: {lines}. To mend the newest: {clean(first.get('remedy'))}"


def _drift(read: dict[str, Any]) -> str:
    rows = _rows(read)
    if not rows:
        return "Code, records, draft, live routing and pools agree."
    return f"{len(rows)} disagreement{'s' * (len(rows) > 1)}: " + " ".join(
        clean(row.get("message")) for row in rows[:5]
    )


def _campaigns(read: dict[str, Any]) -> str:
    rows = _rows(read)
    if not rows:
        return "There is no campaign."
    names = listed([f"{clean(row.get('name'))} is {clean(row.get('status'))}" for row in rows[:8]])
    return f"{len(rows)} campaign{'s' * (len(rows) > 1)}: {names}."


def _ledger(read: dict[str, Any]) -> str:
    rows = [section(row) for row in section(read.get("result")).get("promises") or []]
    bad = [row for row in rows if not row.get("ok")]
    if not bad:
        return f"All {len(rows)} promises of the campaign engine are kept."
    return "Broken: " + listed([f"“{clean(row.get('name'))}” ({row.get('count')} rows)" for row in bad]) + "."


def _feedback(read: dict[str, Any]) -> str:
    rows = _rows(read)
    if not rows:
        return "There is no feedback yet."
    lines = [f"{clean(row.get('key'))} of {clean(row.get('group')) or 'all'}: mean {float(row.get('mean') or 0):.2f} over {row.get('count')}" for row in rows[:6]]  # fmt: skip
    return f"{listed(lines)}."


def _rows(read: dict[str, Any]) -> list[dict[str, Any]]:
    return [section(row) for row in section(read.get("result")).get("items") or []]


def _time(value: Any) -> str:
    return clean(value)[:16].replace("T", " ") + " UTC" if value else "an unknown time"


_TELL: dict[str, Callable[[dict[str, Any]], str]] = {
    "fleet": _fleet,
    "graphs": _graphs,
    "route": _route,
    "traces": _traces,
    "trace": _trace,
    "findings": _findings,
    "drift": _drift,
    "campaigns": _campaigns,
    "ledger": _ledger,
    "feedback": _feedback,
}
RULES: dict[str, Rule] = {"admin_chat.decide": decide}
