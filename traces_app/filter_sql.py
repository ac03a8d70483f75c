"""Filter terms as SQL over `h`, the rows of `actions.py`. Values travel as parameters, never in the text."""

from __future__ import annotations

# ruff: noqa: S608 - statements are put together from constants and queries of our own planes
from typing import TYPE_CHECKING, Any

from traces_app.store.labels import MAX_VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from traces_app.filters import Term

Clause = tuple[str, list[Any]]
EVERYTHING: Clause = ("TRUE", [])

#: A dispatch record that says something went wrong.
FAILED_CALL = "(d.error_kind <> '' OR d.graph_failed OR d.status >= 400)"
#: The fact a head takes from such a record.
FAILED = "failed=call"

_FACT = "h.facts @> ARRAY[%s]"
# The action's own name; a long one's labels hold no more than a hundred names.
_NAMED = "h.name ILIKE %s"
# A quick look before the exact one: whether the words stand anywhere.
_SAID = "array_to_string(h.facts, E'\\n') ILIKE %s"
# What only dispatch records know is added to the heads twice a minute (`hops.py`); for what came since they are asked.
_HOP = (
    "h.seen_at > now() - interval '2 minutes' AND EXISTS (SELECT 1 FROM routing_app_dispatchrecord d"
    " WHERE (d.ls_trace_id = h.trace_id::text OR d.run_id = h.root_run_id::text) AND {condition})"
)
# Of one table each, so that the planner may begin with the newest heads as well as with what they are asked for,
# whichever is less; and EXISTS, so that what must not be is looked up for a head instead of gathered for all.
_FEEDBACK = (
    "EXISTS (SELECT 1 FROM feedback_app_feedback f"
    " WHERE f.trace_id = h.trace_id AND f.retracted_at IS NULL AND {condition})"
)
_FINDING = (
    "EXISTS (SELECT 1 FROM traces_app_findingsighting s"
    " WHERE s.trace_id = h.trace_id AND s.finding_id = ANY(%s::bigint[]))"
)
_COLUMNS = {
    "latency": "extract(epoch FROM h.ended_at - h.started_at)",
    "cost": "h.cost",
    "tokens": "h.total_tokens",
    "runs": "h.runs",
    "errors": "h.errors",
    "version": "h.routing_version",
}
_FAILED_HOP = f"{_FACT} OR {_HOP.format(condition=FAILED_CALL)}"
_STATUS: dict[str, Clause] = {
    "running": ("h.status = 0", []),
    "ok": (f"h.status = 1 AND NOT ({_FAILED_HOP})", [FAILED]),
    "error": (f"h.status = 2 OR h.status = 1 AND ({_FAILED_HOP})", [FAILED]),
}
#: What an index answers. Of conditions without any of these the newest actions are looked through, so many for a page.
_INDEXED = frozenset(
    {"assistant", "pool", "caller", "model", "tag", "project", "meta", "campaign", "feedback", "finding"}
)
_INDEXED_VALUES = frozenset({("status", "error"), ("has", "error"), ("has", "finding"), ("has", "feedback")})


def where(terms: Iterable[Term], findings: Mapping[str, Sequence[int]] | None = None) -> Clause:
    """One condition for all terms; `TRUE` for none. `findings` are the ids of those that are unresolved, by code."""
    conditions, values = ["TRUE"], []
    for term in terms:
        condition, given = _clause(term, findings or {})
        conditions.append(f"NOT coalesce({condition}, FALSE)" if term.negated else f"({condition})")
        values += given
    return " AND ".join(conditions), values


def looks_through(terms: Sequence[Term]) -> bool:
    """Whether no index narrows these terms down."""
    asked = [(term.field, str(term.value)) for term in terms if not term.negated]
    narrowed = any(field in _INDEXED or (field, value) in _INDEXED_VALUES for field, value in asked)
    return bool(terms) and not narrowed


def asks_for_findings(terms: Iterable[Term]) -> bool:
    """Whether `where` needs to know them."""
    return any(term.field == "finding" or (term.field, term.value) == ("has", "finding") for term in terms)


def _clause(term: Term, findings: Mapping[str, Sequence[int]]) -> Clause:
    value, text = term.value, str(term.value)
    if term.field in _COLUMNS:
        return f"{_COLUMNS[term.field]} {term.op} %s", [value]
    if term.field in _SIMPLE:
        return _SIMPLE[term.field], [value]
    if term.field in _CALLED:
        hop = _HOP.format(condition=_CALLED[term.field])
        fact = text.upper() if term.field == "pool" else text
        return f"{_FACT} OR {hop}", [_fact(term.field, fact), *[fact] * hop.count("%s")]
    if term.field in ("model", "tag", "project"):
        return _FACT, [_fact(term.field, text)]
    if term.field == "meta":
        return _FACT, [_fact(f"meta.{term.key}", text)]
    if term.field == "status":
        return _STATUS[text]
    if term.field == "name":
        named = f"{_NAMED} OR {_SAID} AND EXISTS (SELECT 1 FROM unnest(h.facts) fact WHERE fact ILIKE %s)"
        return _in_order(named), [_like(text), _like(text), "name=" + _like(text)]
    if term.field == "campaign":
        return _FACT, [_fact("meta.campaign", text)]
    if term.field == "feedback":
        condition = _FEEDBACK.format(condition=f"f.key = %s AND f.score {term.op} %s")
        return condition, [term.key, value]
    if term.field == "finding":
        return _FINDING, [list(findings.get(text, ()))]
    if term.field == "has" and text == "finding":
        return _FINDING, [[one for ids in findings.values() for one in ids]]
    if term.field == "has":
        return _HAS[text]
    return _free_text(text)


def _fact(field: str, value: str) -> str:
    return f"{field}={value[:MAX_VALUE]}"


def _free_text(words: str) -> Clause:
    """Names, errors, tags and metadata values; never payloads, which only a trace of its own may search."""
    like = _like(words)
    hop = _HOP.format(condition="d.error ILIKE %s")
    said = (
        f"{_NAMED} OR {_SAID} AND EXISTS (SELECT 1 FROM unnest(h.facts) fact"
        " WHERE fact ~ '^(name|error|tag|meta[.][^=]*)=' AND substr(fact, strpos(fact, '=') + 1) ILIKE %s)"
        f" OR {hop}"
    )
    return _in_order(said), [like] * 4


def _in_order(condition: str) -> str:
    """A condition no index helps with, so that the newest rows are looked at first.

    The planner holds a pattern to be rare and would look at all rows before it sorts those that match; of this form
    it expects every other row to.
    """
    return f"coalesce({condition}, FALSE)"


def _like(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


_SIMPLE = {
    "source": "h.source = %s",
    "thread": "h.thread_id = %s",
    "since": "h.seen_at >= %s",
    "until": "h.seen_at < %s",
}
#: Fields that a call may know better than the runs it led to, and where it keeps them.
_CALLED = {
    "assistant": "d.assistant_id = %s",
    "pool": "d.pool = %s",
    "caller": "(d.key_name = %s OR d.caller = %s)",
}
_HAS: dict[str, Clause] = {
    "feedback": (_FEEDBACK.format(condition="TRUE"), []),
    "error": (f"h.errors > 0 OR {_FAILED_HOP}", [FAILED]),
    "llm": ("h.llm_runs > 0", []),
}
