"""Django behind the switch, with everything that a request runs through in one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from servestatic.middleware import ServeStaticMiddleware  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class OneThread(ASGIHandler):
    """As it comes, Django changes threads for each step of each middleware, some forty times in a request.

    Views and middleware here are synchronous, so one thread takes them all. Static files need none: they are answered first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._static_first = ServeStaticMiddleware(sync_to_async(self.get_response))

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self._static_first(request)
        return response
