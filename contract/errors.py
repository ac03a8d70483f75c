"""How a call to the fleet fails, in five kinds that callers can act on."""

from __future__ import annotations

from typing import Literal, get_args

ErrorKind = Literal["auth", "timeout", "client", "backend", "unknown"]
KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


class LangGraphError(Exception):
    """A call that did not end in a result. `retry_safe` means that repeating it cannot run the graph twice."""

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int | None = None,
        retry_safe: bool = False,
        detail: object = None,
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.status = status
        self.retry_safe = retry_safe
        self.detail = detail

    def __str__(self) -> str:
        at = "" if self.status is None else f" {self.status}"
        return f"[{self.kind}{at}] {self.args[0]}"


def kind_for_status(status: int | None) -> ErrorKind:
    """The kind of an HTTP status; None means that no answer came."""
    if status is None or 500 <= status <= 599:
        return "timeout" if status == 504 else "backend"
    if status in (401, 403):
        return "auth"
    if status == 408:
        return "timeout"
    if 400 <= status <= 499:
        return "client"
    return "unknown"
