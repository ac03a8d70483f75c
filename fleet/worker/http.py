"""The HTTP edge: the pool's secret, the size of bodies, JSON answers."""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.errors import kind_for_status
from contract.headers import X_NOT_BEGUN
from fleet.worker.encode import dumps
from fleet.worker.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from fleet.worker.refused import RefusedCalls

    Handler = Callable[[Request], Awaitable[ASGIApp]]

log = logging.getLogger("fleet.worker")
_BODY_S = 30.0
_OPEN_PATHS = frozenset({"/ok", "/"})


class Leaving:
    """Turns away what comes once the worker stops; what runs goes on. Nothing was begun, and the answer says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["app"].state.leaving:
            headers = {X_NOT_BEGUN: "leaving", "retry-after": "1", "connection": "close"}
            await json_answer({"detail": "This worker is stopping."}, 503, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class PoolSecret:
    """Lets only calls with the pool's secret through; notes the others."""

    def __init__(self, app: ASGIApp, secret: str, refused: RefusedCalls) -> None:
        self._app = app
        self._secret = secret.encode()
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS or self._knows(scope["headers"]):
            await self._app(scope, receive, send)
            return
        self._refused.note(scope)
        log.warning("refused a call without the pool secret: %s %s", scope["method"], scope["path"])
        answer = json_answer({"detail": "This pool answers the dispatcher only."}, 401)
        await answer(scope, receive, send)

    def _knows(self, headers: list[tuple[bytes, bytes]]) -> bool:
        for name, value in headers:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                value = value[7:]
            elif name != b"x-api-key":
                continue
            if hmac.compare_digest(value, self._secret):
                return True
        return False


class HotRoutes:
    """Answers the most frequent requests before the router and its layers; `handlers` by POST path."""

    def __init__(self, app: ASGIApp, handlers: Mapping[str, Handler]) -> None:
        self._app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["path"]) if scope["type"] == "http" else None
        if handler is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        answer: ASGIApp
        try:
            answer = await handler(Request(scope, receive))
        except Refused as error:
            answer = refusal(error)
        await answer(scope, receive, send)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as JSON."""
    return Response(dumps(value), status, dict(headers or {}), media_type="application/json")


def refusal(refused: Refused) -> Response:
    problem = {"detail": refused.detail, "kind": kind_for_status(refused.status)}
    return json_answer(problem, refused.status, refused.headers)


async def read_body(request: Request, most: int) -> bytes:
    """Read a body of at most `most` bytes.

    Raises:
        Refused: 413 when it is longer, 415 when it is encoded, 408 when it does not arrive in time.
    """
    headers = dict(request.scope["headers"])
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refused(415, "content-encoding is not supported: send the body as it is")
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    body = bytearray()
    if await _goes_on(request, body, most):  # most come whole, and need no clock
        try:
            async with asyncio.timeout(_BODY_S):
                while await _goes_on(request, body, most):
                    pass
        except TimeoutError:
            raise Refused(408, "the request body did not arrive in time", {"connection": "close"}) from None
    return bytes(body)


async def _goes_on(request: Request, body: bytearray, most: int) -> bool:
    """Add the next piece to `body`, and return whether it was not the last. The door has a clock on pieces."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body += message.get("body", b"")
    if len(body) > most:
        raise _too_large(most)
    return bool(message.get("more_body"))


def _too_large(most: int) -> Refused:
    return Refused(413, f"the request body is larger than {most} bytes", {"connection": "close"})
