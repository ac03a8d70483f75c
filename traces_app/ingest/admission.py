"""Who may come in, and when it is too much: decided before a body is read."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from traces_app.ingest.http import RefusedError, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

RETRY_AFTER_S = 1
_UNKNOWN_LENGTH = 1 << 20  # what a chunked body is taken for until it is read


class KeyRingLike(Protocol):
    """`registry_app.keyring.KeyRing`, as far as it is needed here."""

    def find(self, raw: str, now: datetime) -> Any: ...
    def signer(self, text: str, mark: str, now: datetime) -> Any: ...


class Live(Protocol):
    """What is live now: `routing_app.live.LiveState`."""

    document: Any
    keyring: Any

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Admission:
    """Keys and the byte budget of one process."""

    def __init__(self, live: Live, max_body: int, max_in_flight: int) -> None:
        self._live = live
        self._max_body = max_body
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    def authenticate(self, request: Request, *scopes: str) -> None:
        """Find the key and put its facts on the request. Raises `RefusedError` 401 or 403."""
        raw = request.headers.get("x-api-key", "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if not raw and scheme.lower() == "bearer":
            raw = bearer.strip()
        if not raw:
            raise RefusedError(401, "x-api-key: missing")
        key = self._live.keyring.find(raw, datetime.now(UTC))
        if key is None:
            raise RefusedError(401, "x-api-key: not known, expired or revoked")
        if "*" not in key.scopes and not set(scopes) & set(key.scopes):
            raise RefusedError(403, f"x-api-key: needs the scope {' or '.join(scopes)}")
        request.key = key

    def open_signed(self, request: Request, text: str, mark: str) -> None:
        """Find the key that signed the address, as if it had been sent. Raises `RefusedError` 401."""
        request.key = self._live.keyring.signer(text, mark, datetime.now(UTC))
        if request.key is None:
            raise RefusedError(401, "mark: not of a live key")

    @contextmanager
    def room_for(self, request: Request) -> Iterator[None]:
        """Hold room for a body while it is worked on. Raises `RefusedError` 413, 429 or 400."""
        declared = request.headers.get("content-length")
        if declared is not None and not declared.isdigit():
            raise RefusedError(400, "content-length: not a number")
        size = int(declared) if declared is not None else _UNKNOWN_LENGTH
        if size > self._max_body:
            raise RefusedError(413, f"body is larger than {self._max_body} bytes")
        if self._in_flight and self._in_flight + size > self._max_in_flight:
            raise RefusedError(429, "too much at once", retry_after=RETRY_AFTER_S)
        self._in_flight += size
        try:
            yield
        finally:
            self._in_flight -= size
