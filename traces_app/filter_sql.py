"""Filter terms as SQL over `traces_app_tracehead h`. Values travel as parameters, never in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from traces_app.filters import Term

Clause = tuple[str, list[Any]]

_PART = "EXISTS (SELECT 1 FROM traces_app_runpart p WHERE p.trace_id = h.trace_id AND {condition})"
_HOP = (
    "EXISTS (SELECT 1 FROM routing_app_dispatchrecord d"
    " WHERE (d.ls_trace_id = h.trace_id::text OR d.run_id = h.root_run_id::text) AND {condition})"
)
_FEEDBACK = (
    "EXISTS (SELECT 1 FROM feedback_app_feedback f WHERE f.retracted_at IS NULL"
    " AND (f.trace_id = h.trace_id OR f.run_id = h.root_run_id) AND {condition})"
)
_FINDING = (
    "EXISTS (SELECT 1 FROM traces_app_findingsighting s JOIN traces_app_storedfinding g ON g.id = s.finding_id"
    " WHERE s.trace_id = h.trace_id AND g.resolved_at IS NULL AND {condition})"
)
_COLUMNS = {
    "latency": "extract(epoch FROM h.ended_at - h.started_at)",
    "cost": "h.cost",
    "tokens": "h.total_tokens",
    "runs": "h.runs",
    "errors": "h.errors",
    "version": "h.routing_version",
}
_STATUS = {"running": 0, "ok": 1, "error": 2}


def where(terms: Iterable[Term]) -> Clause:
    """One condition for all terms; `TRUE` for none."""
    conditions, values = ["TRUE"], []
    for term in terms:
        condition, given = _clause(term)
        conditions.append(f"NOT coalesce({condition}, FALSE)" if term.negated else f"({condition})")
        values += given
    return " AND ".join(conditions), values


def _clause(term: Term) -> Clause:
    value = term.value
    if term.field in _COLUMNS:
        return f"{_COLUMNS[term.field]} {term.op} %s", [value]
    if term.field in _SIMPLE:
        return _SIMPLE[term.field], [value] * _SIMPLE[term.field].count("%s")
    if term.field == "status":
        return "h.status = %s", [_STATUS[str(value)]]
    if term.field == "name":
        return f"h.name ILIKE %s OR {_PART.format(condition='p.name ILIKE %s')}", [_like(value)] * 2
    if term.field == "meta":
        return "h.metadata ~ %s", [f"(^|\n){_quote(term.key)}={_quote(str(value))}(\n|$)"]
    if term.field == "campaign":
        return "h.metadata ~ %s", [f"(^|\n)campaign(_id|\\.id)?={_quote(str(value))}(\n|$)"]
    if term.field == "feedback":
        return _FEEDBACK.format(condition=f"f.key = %s AND f.score {term.op} %s"), [term.key, value]
    if term.field == "has":
        return _HAS[str(value)], []
    return _free_text(str(value))


def _free_text(words: str) -> Clause:
    """Names, errors, tags and metadata values; never payloads, which only a trace of its own may search."""
    like = _like(words)
    hop = _HOP.format(condition="d.error ILIKE %s")
    part = _PART.format(condition="p.name ILIKE %s")
    return (
        f"h.name ILIKE %s OR h.metadata ILIKE %s OR array_to_string(h.tags, ' ') ILIKE %s OR {hop} OR {part}",
        [like] * 5,
    )


def _like(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _quote(text: str) -> str:
    """Text as a pattern of itself, with every sign that could mean something escaped."""
    return "".join(char if char.isalnum() or char in "_ " else f"\\{char}" for char in text if char != "\n")


_SIMPLE = {
    "assistant": (
        "h.assistant_id = %s OR "
        + _PART.format(condition="p.assistant_id = %s")
        + " OR "
        + _HOP.format(condition="d.assistant_id = %s")
    ),
    "pool": (
        "h.pool = upper(%s) OR "
        + _PART.format(condition="p.pool = upper(%s)")
        + " OR "
        + _HOP.format(condition="d.pool = upper(%s)")
    ),
    "model": _PART.format(condition="p.model = %s"),
    "tag": "%s = ANY(h.tags)",
    "project": "h.project = %s OR " + _PART.format(condition="p.project = %s"),
    "source": "h.source = %s",
    "thread": "h.thread_id = %s",
    "caller": _HOP.format(condition="(d.key_name = %s OR d.caller = %s)"),
    "finding": _FINDING.format(condition="g.code = %s"),
    "since": "h.seen_at >= %s",
    "until": "h.seen_at < %s",
}
_HAS = {
    "finding": _FINDING.format(condition="TRUE"),
    "feedback": _FEEDBACK.format(condition="TRUE"),
    "error": "h.errors > 0",
    "llm": "h.llm_runs > 0",
}
