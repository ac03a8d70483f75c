"""Log lines as JSON or text, with the ids of the request at hand. Standard library only, for every process."""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_context: ContextVar[dict[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SECRET_NAMES = re.compile(r"authorization|api[-_]?key|secret|password|cookie|token$", re.IGNORECASE)
_CREDENTIALS = re.compile(
    r"(bearer\s+|basic\s+|(?:api[-_]?key|secret|password)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&}]+", re.IGNORECASE
)
_URL_PASSWORDS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
HIDDEN = "[hidden]"


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add ids (request id, trace id, …) to every line logged inside; empty ones are left out."""
    token = _context.set(_context.get() | {name: value for name, value in ids.items() if value})
    try:
        yield
    finally:
        _context.reset(token)


def current_ids() -> dict[str, str]:
    """The ids that lines carry now."""
    return dict(_context.get())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, ids, extras; credentials hidden."""

    def __init__(self, hide: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._hide = tuple(value for value in hide if len(value) >= 8)

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self._line(record), ensure_ascii=False, default=str)

    def _line(self, record: logging.LogRecord) -> dict[str, Any]:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._scrub(record.getMessage()),
            **_context.get(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                line[name] = HIDDEN if _SECRET_NAMES.search(name) else self._plain(value)
        if record.exc_info:
            line["exception"] = self._scrub(self.formatException(record.exc_info))
        return line

    def _plain(self, value: object) -> object:
        return value if isinstance(value, int | float | bool | None) else self._scrub(str(value))

    def _scrub(self, text: str) -> str:
        for secret in self._hide:
            text = text.replace(secret, HIDDEN)
        return _URL_PASSWORDS.sub(rf"\1{HIDDEN}", _CREDENTIALS.sub(rf"\1{HIDDEN}", text))


class TextFormatter(JsonFormatter):
    """The same facts for eyes: level, logger, message, then `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        line = self._line(record)
        exception = line.pop("exception", "")
        head = f"{line.pop('level'):<7} {line.pop('logger')} {line.pop('message')}"
        line.pop("time")
        tail = "".join(f" {name}={value}" for name, value in line.items())
        return f"{head}{tail}" + (f"\n{exception}" if exception else "")
