"""The little of HTTP that ingest needs on bare ASGI: a request, an answer, a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"


class RefusedError(Exception):
    """The request as a whole cannot be taken; becomes an answer with this status."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b"{}"
    content_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Answer:
        """Answer with a JSON value."""
        return cls(status, orjson.dumps(value, default=str))

    @classmethod
    def refusal(cls, error: RefusedError) -> Answer:
        """Answer with `{"detail": …}`."""
        wait = () if error.retry_after is None else ((b"retry-after", str(error.retry_after).encode()),)
        return cls(error.status, orjson.dumps({"detail": error.detail}), headers=wait)


@dataclass(slots=True)
class Request:
    """A request whose body is read only when someone asks for it."""

    scope: Scope
    receive: Receive
    method: str
    #: Below the prefix it was mounted at.
    path: str
    headers: dict[str, str]
    #: Facts of the key that sent it; set by admission.
    key: Any = None
    #: Named pieces of the path.
    args: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: Scope, receive: Receive, path: str) -> Request:
        """Read method and headers of an ASGI scope."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        return cls(scope, receive, scope["method"], path, headers)

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def query(self) -> dict[str, list[str]]:
        """Return the parameters of the query string."""
        return parse_qs(self.scope.get("query_string", b"").decode("latin-1"))


async def send_answer(send: Send, answer: Answer) -> None:
    """Send the answer in two messages."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object a body is. Raises `RefusedError` 422."""
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise RefusedError(422, f"body: {error}") from error
    if not isinstance(value, dict):
        raise RefusedError(422, "body: must be an object")
    return value
