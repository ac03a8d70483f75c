"""LangSmith's filter language over runs: `and(eq(run_type, "llm"), gt(latency, "5s"))` → a predicate.

Operators: and, or, not, eq, neq, gt, gte, lt, lte, in, has, like, search. What is not known is refused by name.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traces_app.ingest.http import RefusedError

if TYPE_CHECKING:
    from traces_app.rows import RunRow

Predicate = Callable[["RunRow"], bool]
MAX_LENGTH = 10_000
MAX_DEPTH = 20
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<mark>[(),\[\]]))"""
)
_ESCAPE = re.compile(r"\\(.)")
_SECONDS = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}
_STATUS = {"ok": "success", "error": "error", "running": "pending"}


def _latency(run: RunRow) -> float | None:
    return (run.end - run.start).total_seconds() if run.start and run.end else None


FIELDS: dict[str, Callable[[RunRow], Any]] = {
    "id": lambda r: r.run_id,
    "run_id": lambda r: r.run_id,
    "trace_id": lambda r: r.trace_id,
    "trace": lambda r: r.trace_id,
    "parent_run_id": lambda r: r.parent_run_id,
    "is_root": lambda r: r.parent_run_id is None,
    "name": lambda r: r.name,
    "run_type": lambda r: r.run_type,
    "status": lambda r: _STATUS[r.status],
    "error": lambda r: r.error,
    "start_time": lambda r: r.start,
    "end_time": lambda r: r.end,
    "latency": _latency,
    "first_token_time": lambda r: r.first_token,
    "tags": lambda r: list(r.tags),
    "metadata": lambda r: dict(r.metadata),
    "metadata_key": lambda r: list(r.metadata),
    "metadata_value": lambda r: [str(v) for v in r.metadata.values()],
    "thread_id": lambda r: r.thread_id,
    "prompt_tokens": lambda r: r.prompt_tokens,
    "completion_tokens": lambda r: r.completion_tokens,
    "total_tokens": lambda r: r.total_tokens,
    "total_cost": lambda r: None if r.cost is None else float(r.cost),
    "session_name": lambda r: r.project,
}


def parse(text: str) -> Predicate:
    """Return what the filter says of a run. Raises `RefusedError` 422 naming what is not understood."""
    if len(text) > MAX_LENGTH:
        raise RefusedError(422, f"filter: longer than {MAX_LENGTH} characters")
    parser = _Parser(text)
    found = parser.expression(0)
    parser.end()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            token = _TOKEN.match(text, at)
            if token is None or token.lastgroup is None:
                raise RefusedError(422, f"filter: not understood at {text[at : at + 30]!r}")
            self._tokens.append((token.lastgroup, token[token.lastgroup]))
            at = token.end()
        self._at = 0

    def expression(self, depth: int) -> Predicate:
        if depth > MAX_DEPTH:
            raise RefusedError(422, "filter: nested too deep")
        operator = self._take("name")
        self._take("mark", "(")
        if operator in {"and", "or", "not"}:
            found = _combined(operator, self._expressions(depth + 1))
        elif operator == "search":
            found = _search(self._value())
        elif operator in _COMPARE:
            name = self._take("name")
            if name not in FIELDS:
                raise RefusedError(422, f"filter: the field {name!r} is not one of {', '.join(FIELDS)}")
            self._take("mark", ",")
            found = _compared(operator, name, self._value())
        else:
            known = ", ".join(("and", "or", "not", "search", *_COMPARE))
            raise RefusedError(422, f"filter: {operator!r} is not one of {known}")
        self._take("mark", ")")
        return found

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise RefusedError(422, f"filter: something stands after its end: {self._tokens[self._at][1]!r}")

    def _expressions(self, depth: int) -> list[Predicate]:
        found = [self.expression(depth)]
        while self._peek() == ",":
            self._take("mark", ",")
            found.append(self.expression(depth))
        return found

    def _value(self) -> Any:
        kind, token = self._next()
        if kind == "text":
            return _ESCAPE.sub(r"\1", token[1:-1])
        if kind == "number":
            return float(token)
        if (kind, token) == ("mark", "["):
            return self._list()
        constants: dict[str, Any] = {"true": True, "false": False, "null": None}
        if token in constants:
            return constants[token]
        raise RefusedError(422, f"filter: {token!r} is not a value")

    def _list(self) -> list[Any]:
        values: list[Any] = []  # the opening bracket is taken
        while self._peek() != "]":
            values.append(self._value())
            if self._peek() == ",":
                self._take("mark", ",")
        self._take("mark", "]")
        return values

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise RefusedError(422, "filter: ends early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, kind: str, token: str = "") -> str:
        found = self._next()
        if found[0] != kind or (token and found[1] != token):
            raise RefusedError(422, f"filter: {found[1]!r} stands where {token or kind!r} should")
        return found[1]


def _combined(operator: str, inner: list[Predicate]) -> Predicate:
    if operator == "and":
        return lambda run: all(one(run) for one in inner)
    if operator == "or":
        return lambda run: any(one(run) for one in inner)
    return lambda run: not any(one(run) for one in inner)


def _search(value: Any) -> Predicate:
    wanted = str(value).lower()
    return lambda run: any(
        wanted in str(text).lower() for text in (run.name, run.error or "", *run.tags, *run.metadata.values())
    )


def _compared(operator: str, name: str, wanted: Any) -> Predicate:
    read, compare = FIELDS[name], _COMPARE[operator]
    if name == "latency":
        wanted = _seconds(wanted)
    elif name in {"start_time", "end_time", "first_token_time"} and isinstance(wanted, str):
        wanted = _time(wanted)

    def holds(run: RunRow) -> bool:
        value = read(run)
        try:
            return bool(compare(value, wanted))
        except TypeError:
            return False

    return holds


def _seconds(value: Any) -> Any:
    found = _SECONDS.match(value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else value


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(422, f"filter: {text[:40]!r} is not a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return wanted in value
    return bool(value == wanted)


def _has(value: Any, wanted: Any) -> bool:
    if isinstance(value, dict):
        return any(wanted in {key, f"{key}:{held}", str(held)} for key, held in value.items())
    return isinstance(value, list | str) and wanted in value


def _like(value: Any, wanted: Any) -> bool:
    pattern = str(wanted).lower().replace("%", "*").replace("_", "?")
    return isinstance(value, str) and fnmatch.fnmatchcase(value.lower(), pattern)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _equal,
    "neq": lambda value, wanted: not _equal(value, wanted),
    "gt": lambda value, wanted: value is not None and value > wanted,
    "gte": lambda value, wanted: value is not None and value >= wanted,
    "lt": lambda value, wanted: value is not None and value < wanted,
    "lte": lambda value, wanted: value is not None and value <= wanted,
    "in": lambda value, wanted: any(_equal(value, one) for one in wanted),
    "has": _has,
    "like": _like,
}
