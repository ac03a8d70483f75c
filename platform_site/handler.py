"""Django behind the switch, with everything that a request runs through in one thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from io import BytesIO
from typing import TYPE_CHECKING

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.urls import set_script_prefix
from servestatic.middleware import ServeStaticMiddleware  # type: ignore[import-untyped]
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import IO, Any

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: As many requests are answered at once; more wait their turn.
_THREADS = 32


def behind_proxies(trusted: str) -> ProxyHeadersMiddleware:
    """Django, told by proxies at these addresses whom they speak for. It alone asks, so no other request pays for it."""
    return ProxyHeadersMiddleware(OneThread(), trusted)  # type: ignore[arg-type] # the scope is typed more narrowly


class OneThread(ASGIHandler):
    """As it comes, Django makes two threads for each request and changes between them and the loop a dozen times.

    Views and middleware here are synchronous, so one of the threads that wait for requests takes all of one, from the
    signal that it began to the one that it ended. What is streamed is read in a thread of its own while it leaves.
    """

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="django")
        self._static = ServeStaticMiddleware(self.get_response_async)  # for its table of files alone

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            take = copy_context().run
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(self._threads, take, self._answer, scope, body)
            if response.streaming:
                await self._stream(response, receive, send)
            else:
                await self.send_response(response, send)

    def _answer(self, scope: dict[str, Any], body: IO[bytes]) -> HttpResponseBase:
        """The whole request; its database connection is given back before the first byte of the answer leaves."""
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=self.__class__, scope=scope)
        request: Any  # None where it is refused
        request, refused = self.create_request(scope, body)
        response = refused or self._file(request) or self.get_response(request)
        if response.streaming:
            close_old_connections()  # what reads on has a connection of its own
        else:
            response.close()
        return response

    def _file(self, request: HttpRequest) -> HttpResponse | None:
        """The static file at the path. They are small: to hand one on in pieces would take longer than to read it."""
        known = self._static
        file = (known.find_file if known.autorefresh else known.files.get)(request.path_info)
        if file is None:
            return None
        found = file.get_response(request.method, request.META)
        with found.file or BytesIO() as content:
            response = HttpResponse(content.read(), status=found.status)
        del response["Content-Type"]
        for name, value in found.headers:
            if value is not None:
                response.headers[name] = value
        return response

    async def _stream(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send what is read on the way, until its end or until nobody takes it."""
        async with ThreadSensitiveContext():
            tasks = [
                asyncio.create_task(self.send_response(response, send)),
                asyncio.create_task(self.listen_for_disconnect(receive)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                sent, _gone = await asyncio.gather(*tasks, return_exceptions=True)
                await sync_to_async(response.close)()
            if isinstance(sent, Exception):
                raise sent
