"""What is lifted out of metadata into columns, the same for every door."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from traces_app.store.records import Bundle, RunPart, uuid_text

MAX_TEXT = 500
_MAX_COUNT = 2**53
#: Exceptions by which LangGraph says that a graph waits for somebody, or hands over to the one above.
_NO_FAILURE = re.compile(r"(?:[\w.]+\.)?(?:GraphInterrupt|NodeInterrupt|ParentCommand)\b")
_AMOUNTS = frozenset({str, int, float})


def tells_of_failure(error: str) -> bool:
    """Whether the text of an error means that something failed: a graph that waits is well."""
    return _NO_FAILURE.match(error) is None


def clean_text(value: Any, limit: int = MAX_TEXT) -> str:
    """Return a short text that PostgreSQL can hold; anything but a text, a number or None becomes ""."""
    if type(value) is str and len(value) <= limit and "\0" not in value:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = text[:limit]
    return text.replace("\0", "\ufffd") if "\0" in text else text


def count(value: Any) -> int | None:
    """Return a token count; None for what is no whole number within reason."""
    if type(value) is not int:
        if isinstance(value, bool) or value is None:
            return None
        try:
            value = int(value)
        except (TypeError, ValueError, OverflowError):
            return None
    return value if 0 <= value < _MAX_COUNT else None


def money(value: Any) -> Decimal | None:
    """Return US dollars; None for what is no amount."""
    if type(value) not in _AMOUNTS:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount.quantize(Decimal("1e-12")) if amount.is_finite() and 0 <= amount < 1_000_000_000 else None


def lift_metadata(part: RunPart, metadata: dict[str, Any]) -> None:
    """Fill the columns that join a run to its graph, pool, dispatch and thread."""
    get = metadata.get
    part.assistant_id = clean_text(get("langgraph.assistant_id") or get("graph_id"))
    part.pool = clean_text(get("agentic.pool"))
    if (version := get("agentic.routing_version")) is not None:
        number = count(version)
        part.routing_version = number if number is not None and number < 2**31 else None
    thread_id = get("thread_id") or get("session_id") or get("conversation_id")
    if thread_id is not None:
        part.thread_id = clean_text(thread_id)
    if own := get("agentic.run_id") or get("run_id"):
        part.graph_root = own == uuid_text(part.run_id)


def lift_usage(part: RunPart, usage: Any) -> None:
    """Fill tokens and cost from a `usage_metadata` object; leaves what it does not say."""
    if not isinstance(usage, dict):
        return
    part.prompt_tokens = count(usage.get("input_tokens"))
    part.completion_tokens = count(usage.get("output_tokens"))
    part.total_tokens = count(usage.get("total_tokens"))
    part.cost = money(usage.get("total_cost"))
    if part.cost is None and ("input_cost" in usage or "output_cost" in usage):
        part.cost = (money(usage.get("input_cost")) or Decimal(0)) + (
            money(usage.get("output_cost")) or Decimal(0)
        )
    complete_total(part)


def complete_total(part: RunPart) -> None:
    """Add up the total where only its halves are known."""
    if part.total_tokens is None and (part.prompt_tokens is not None or part.completion_tokens is not None):
        part.total_tokens = (part.prompt_tokens or 0) + (part.completion_tokens or 0)


def confine(bundle: Bundle, project: str) -> None:
    """Put everything a key sends into the only project it may write; "" means it may write any."""
    if project:
        for part in bundle.parts:
            part.project = project
        for copy in bundle.copies:
            copy.project = project
