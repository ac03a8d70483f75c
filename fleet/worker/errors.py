"""Refusals: each becomes one status and `{"detail": …}`, as a LangGraph server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refused(Exception):
    """The request cannot be served; `status`, `detail` and `headers` are the answer."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def busy(detail: str, retry_after: int = 1) -> Refused:
    return Refused(429, detail, {"retry-after": str(retry_after)})


class NoDatabase(Refused):
    """503: what needs the database has to wait for it."""

    def __init__(
        self, detail: str = "Threads and background runs need the database, which does not answer."
    ) -> None:
        super().__init__(503, detail, {"retry-after": "2"})
