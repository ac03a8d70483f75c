"""The filter language of the trace list: `assistant:x status:error latency:>2s -pool:CORE "free text"`.

Total: any text gives terms or one error that names the position and, where it can, what was meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 2_000
MAX_TERMS = 30
Op = Literal["=", ">", ">=", "<", "<="]
Value = str | float | int | Decimal | datetime

_TOKEN = re.compile(
    r'(?P<minus>-?)(?:(?P<field>[A-Za-z_]+)(?P<key>\.[\w.-]*)?:)?(?P<value>"(?:[^"\\]|\\.)*"?|\S*)'
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SOURCES = ("langsmith", "otlp", "dispatch")
STATUSES = ("ok", "error", "running")
HAS = ("finding", "feedback", "error", "llm")


class FilterError(ValueError):
    """A filter that cannot be understood; `position` counts characters from 0."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"{message} (at character {position + 1})")
        self.position = position


@dataclass(frozen=True, slots=True)
class Term:
    field: str
    op: Op
    value: Value
    negated: bool = False
    #: The metadata key of `meta.KEY:value`, the feedback key of `feedback.KEY:>0.5`.
    key: str = ""
    position: int = 0


def parse(text: str, *, now: datetime | None = None) -> tuple[Term, ...]:
    """Terms in order. Raises FilterError for the first thing that is not understood."""
    if len(text) > MAX_LENGTH:
        raise FilterError(MAX_LENGTH, f"A filter is at most {MAX_LENGTH:,} characters")
    terms: list[Term] = []
    position = 0
    while position < len(text):
        if text[position].isspace() or text[position] == "\0":
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise FilterError(position, f"{text[position]!r} is not understood")
        terms.append(_term(match, now or datetime.now(UTC)))
        position = match.end()
        if len(terms) > MAX_TERMS:
            raise FilterError(position, f"A filter has at most {MAX_TERMS} terms")
    return tuple(terms)


def _term(match: re.Match[str], now: datetime) -> Term:
    raw, at = match["value"], match.start("value")
    negated = bool(match["minus"])
    if raw.startswith('"') and (len(raw) == 1 or not re.fullmatch(r'"(?:[^"\\]|\\.)*"', raw)):
        raise FilterError(at, 'A quotation is not closed; add "')
    if match["field"] is None:
        words = _plain(raw)
        if not words:
            raise FilterError(match.start(), "Something must follow the minus sign")
        return Term("text", "=", words, negated, position=match.start())
    name, key = match["field"].lower(), (match["key"] or "").removeprefix(".")
    parser = FIELDS.get(name)
    if parser is None:
        raise FilterError(match.start("field"), f"There is no field {name!r}{_hint(name, FIELDS)}")
    if bool(key) != (name in KEYED) or match["key"] == ".":
        want = f"{name}.KEY:value" if name in KEYED else f"{name}:value"
        raise FilterError(match.start("field"), f"Write {want}")
    op, rest = _operator(raw)
    if not rest:
        raise FilterError(at, f"{name} needs a value")
    if op != "=" and name not in ORDERED:
        raise FilterError(at, f"{name} has no order; leave {op!r} out")
    try:
        value = parser(_plain(rest), now)
    except ValueError as error:
        raise FilterError(at, f"{name}: {error}") from None
    return Term(name, op, value, negated, key, match.start())


def _operator(raw: str) -> tuple[Op, str]:
    op: Op
    for op in (">=", "<=", ">", "<"):
        if raw.startswith(op):
            return op, raw[len(op) :]
    return "=", raw.removeprefix("=")


def _plain(raw: str) -> str:
    raw = raw.replace("\0", "")
    return re.sub(r"\\(.)", r"\1", raw[1:-1]) if raw.startswith('"') else raw


def _hint(given: str, known: object) -> str:
    close = get_close_matches(given, list(known), n=1)  # type: ignore[call-overload]
    return f"; did you mean {close[0]!r}?" if close else ""


def _text(raw: str, now: datetime) -> str:
    return raw.encode("utf-8", "replace").decode()


def _one_of(known: tuple[str, ...]) -> Callable[[str, datetime], str]:
    def read(raw: str, now: datetime) -> str:
        if raw.lower() not in known:
            raise ValueError(f"one of {', '.join(known)}{_hint(raw.lower(), known)}")
        return raw.lower()

    return read


def _seconds(raw: str, now: datetime) -> float:
    match = _DURATION.fullmatch(raw.lower())
    if match is None or len(raw) > 20:
        raise ValueError("a duration such as 500ms, 2s or 3m")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def _moment(raw: str, now: datetime) -> datetime:
    """`24h` is that long ago; else an ISO date or time, UTC when it names no zone."""
    if _DURATION.fullmatch(raw.lower()):
        ago = _seconds(raw, now)
        return now - timedelta(seconds=min(ago, 100 * 365 * 86400.0))
    try:
        when = datetime.fromisoformat(raw)
    except ValueError:
        raise ValueError("a time ago such as 24h, or a date such as 2026-11-20") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _amount(raw: str, now: datetime) -> Decimal:
    try:
        amount = Decimal(raw.removeprefix("$"))
    except InvalidOperation:
        raise ValueError("an amount such as 0.01") from None
    if not amount.is_finite() or abs(amount) > 10**9:
        raise ValueError("an amount such as 0.01")
    return amount


def _count(raw: str, now: datetime) -> int:
    digits = raw.replace(",", "").replace("_", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise ValueError("a whole number such as 1200")
    return int(digits)


FIELDS: dict[str, Callable[[str, datetime], Value]] = {
    "assistant": _text,
    "pool": _text,
    "status": _one_of(STATUSES),
    "latency": _seconds,
    "cost": _amount,
    "tokens": _count,
    "runs": _count,
    "errors": _count,
    "version": _count,
    "model": _text,
    "tag": _text,
    "name": _text,
    "project": _text,
    "source": _one_of(SOURCES),
    "caller": _text,
    "thread": _text,
    "campaign": _text,
    "meta": _text,
    "feedback": _amount,
    "finding": _text,
    "has": _one_of(HAS),
    "since": _moment,
    "until": _moment,
}
KEYED = frozenset({"meta", "feedback"})
ORDERED = frozenset({"latency", "cost", "tokens", "runs", "errors", "version", "feedback"})
