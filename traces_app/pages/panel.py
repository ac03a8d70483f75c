"""The detail of one step: its tabs, and only the open tab's content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traces_app.pages.jsontree import json_tree, raw_json
from traces_app.pages.messages import conversation
from traces_app.pages.rows import duration_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from traces_app.rows import RunPayload, RunRow
    from traces_app.tree import Node


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class TokenPart:
    """A stretch of the token bar, in per cent of all tokens."""

    name: str
    label: str
    count: int
    x: float
    width: float


def run_panel(
    path: Sequence[str], node: Node, run: RunRow, payload: RunPayload, *, wanted: str, feedback_count: int
) -> dict[str, Any]:
    """Template context of a run's panel. An unknown tab is the first one."""
    turns = conversation(payload.inputs, payload.outputs)
    error = payload.error or run.error or ""
    tabs = _run_tabs(run, payload, turns=len(turns), error=bool(error), feedback=feedback_count)
    tab = next((one.name for one in tabs if one.name == wanted), tabs[0].name)
    context: dict[str, Any] = {
        **_head(path, node),
        "first_token": run.first_token - run.start if run.first_token and run.start else None,
        "speed": _speed(run),
        "token_split": token_split(run),
        "tabs": tabs,
        "tab": tab,
        "turns": turns,
        "error_text": error,
        "attachments": run.attachments,
    }
    if tab == "raw":
        context["raw"] = raw_json(_raw(run, payload))
    elif tab in ("input", "output", "metadata"):
        values = {"input": payload.inputs, "output": payload.outputs, "metadata": _metadata(run)}
        context["json"] = json_tree(values[tab])
    return context


def hop_panel(
    path: Sequence[str], node: Node, facts: Sequence[tuple[str, object]], wanted: str
) -> dict[str, Any]:
    """Template context of a step that is no run: a caller, a dispatcher, a placeholder."""
    tabs = (Tab("facts", "Facts"),) + ((Tab("error", "Error"),) if node.error else ())
    known = (("Step", node.id), *facts) if facts else _node_facts(node)
    return {
        **_head(path, node),
        "tabs": tabs,
        "tab": "error" if wanted == "error" and node.error else "facts",
        "hop_facts": [(name, value) for name, value in known if value not in ("", None, [], ())],
        "error_text": node.error,
    }


def _head(path: Sequence[str], node: Node) -> dict[str, Any]:
    return {
        "selected": node,
        "selected_duration": duration_of(node, datetime.now(UTC)),
        "path": short_path(path),
    }


def short_path(names: Sequence[str]) -> tuple[str, ...]:
    """Names of the steps above, outermost first; the middle of a long way is left out."""
    return tuple(names) if len(names) <= 4 else (names[0], "…", *names[-2:])


def _run_tabs(run: RunRow, payload: RunPayload, *, turns: int, error: bool, feedback: int) -> tuple[Tab, ...]:
    tabs = [Tab("error", "Error")] if error else []
    if turns:
        tabs.append(Tab("messages", "Messages", turns))
    if payload.inputs is not None:
        tabs.append(Tab("input", "Input"))
    if payload.outputs is not None:
        tabs.append(Tab("output", "Output"))
    if run.attachments:
        tabs.append(Tab("attachments", "Attachments", len(run.attachments)))
    return (*tabs, Tab("metadata", "Metadata"), Tab("feedback", "Feedback", feedback), Tab("raw", "Raw"))


def _speed(run: RunRow) -> int | None:
    """Output tokens per second, after the first token when it is known."""
    since = run.first_token or run.start
    if not (run.completion_tokens and since and run.end) or run.run_type != "llm":
        return None
    seconds = (run.end - since).total_seconds()
    return round(run.completion_tokens / seconds) if seconds > 0 else None


def token_split(run: RunRow) -> tuple[TokenPart, ...]:
    """Cached input, fresh input, output; empty when the run reports no tokens."""
    usage = run.metadata.get("usage_metadata")
    details = usage.get("input_token_details") if isinstance(usage, dict) else None
    cached = details.get("cache_read") if isinstance(details, dict) else None
    given, made = run.prompt_tokens or 0, run.completion_tokens or 0
    held = min(cached, given) if isinstance(cached, int) and cached > 0 else 0
    total = given + made
    if run.run_type != "llm" or not total:
        return ()
    parts, at = [], 0.0
    for name, label, count in (
        ("cached", "cached in", held),
        ("fresh", "in", given - held),
        ("out", "out", made),
    ):
        if count:
            width = round(count / total * 100, 2)
            parts.append(TokenPart(name, label, count, round(at, 2), width))
            at += width
    return tuple(parts)


def _metadata(run: RunRow) -> Mapping[str, Any]:
    facts = {
        "run_id": run.run_id,
        "trace_id": run.trace_id,
        "parent_run_id": run.parent_run_id,
        "source": run.source,
        "project": run.project,
        "thread_id": run.thread_id,
        "provider": run.provider,
        "model": run.model,
        "tags": list(run.tags) or None,
        "attachments": list(run.attachments) or None,
        "w3c_trace_id": run.w3c_trace_id,
        "w3c_span_id": run.w3c_span_id,
        "metadata": dict(run.metadata),
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _raw(run: RunRow, payload: RunPayload) -> Mapping[str, Any]:
    return {
        **_metadata(run),
        "name": run.name,
        "run_type": run.run_type,
        "start": run.start,
        "end": run.end,
        "status": run.status,
        "error": payload.error or run.error,
        "inputs": payload.inputs,
        "outputs": payload.outputs,
        "events": payload.events,
        "extra": payload.extra,
        "serialized": payload.serialized,
    }


def _node_facts(node: Node) -> tuple[tuple[str, object], ...]:
    return (
        ("Step", node.id),
        ("Kind", node.kind),
        ("Pool", node.pool),
        ("Routing version", node.routing_version),
        ("Started", node.start.isoformat() if node.start else ""),
        ("Ended", node.end.isoformat() if node.end else ""),
        ("Error", node.error),
    )
