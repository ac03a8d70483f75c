"""What a caller is told when a request cannot be served: one exception, one JSON form, one SSE form."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["auth", "client", "timeout", "backend", "unknown"]

_encode = msgspec.json.encode


class Problem(Exception):
    """A refusal before any pool accepted work; rendered as LangGraph's `{"detail": …}` plus `kind`."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: Kind,
        code: str = "",
        retry_after: float | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind: Kind = kind
        self.code = code
        self.retry_after = retry_after
        self.facts = facts or {}

    def body(self) -> bytes:
        fields: dict[str, Any] = {"detail": self.detail, "kind": self.kind}
        if self.code:
            fields["code"] = self.code
        return _encode(fields | self.facts)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Retry-After in whole seconds, never 0: a client told 0 comes back at once."""
        if self.retry_after is None:
            return []
        return [(b"retry-after", b"%d" % max(1, round(self.retry_after + 0.499)))]


def bad_request(status: int, detail: str, **facts: Any) -> Problem:
    return Problem(status, detail, kind="client", facts=facts)


def database_away() -> Problem:
    """For the requests that need PostgreSQL; stateless runs never come here."""
    return Problem(503, "the database is away; this request needs it", kind="backend", retry_after=2)


def failed_run(kind: Kind, message: str) -> bytes:
    """The body of a `wait` whose pool took the work and did not finish it (answered with 200)."""
    return _encode({"__error__": {"error": _error_name(kind), "message": message, "kind": kind}})


def failed_stream(kind: Kind, message: str) -> bytes:
    """The last SSE event of a stream whose pool took the work and did not finish it.

    Starts with blank lines, which end an event that was cut in its middle.
    """
    data = _encode({"error": _error_name(kind), "message": message, "kind": kind})
    return b"\r\n\r\nevent: error\r\ndata: " + data + b"\r\n\r\n"


def _error_name(kind: Kind) -> str:
    return "TimeoutError" if kind == "timeout" else "BackendError"
