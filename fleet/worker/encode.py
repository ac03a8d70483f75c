"""JSON as a LangGraph server writes it: messages, models, interrupts and errors become plain objects."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY

# Messages of other errors may quote private data; callers get the class name, the log has the rest.
_SPEAKING_ERRORS = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, TimeoutError)


class RunCancelled(RuntimeError):
    """The run was stopped on request."""


def dumps(value: Any) -> bytes:
    """Encode any value a graph may emit.

    Raises:
        TypeError: The value holds something that has no JSON form.
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except UnicodeEncodeError as error:
        raise TypeError("a text in the value is not valid Unicode") from error


def error_of(error: BaseException) -> dict[str, str]:
    """Return `{"error", "message"}` of a failed run."""
    name = type(error).__name__
    if isinstance(error, _SPEAKING_ERRORS) or type(error).__module__.startswith("langgraph"):
        return {"error": "UserInterrupt" if isinstance(error, RunCancelled) else name, "message": str(error)}
    return {"error": name, "message": "An internal error occurred"}


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump()
    if hasattr(value, "node") and hasattr(value, "arg"):  # langgraph.types.Send
        return {"node": value.node, "args": value.arg}
    if isinstance(value, BaseException):
        return error_of(value)
    if isinstance(value, set | frozenset | deque):
        return list(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return str(value)
