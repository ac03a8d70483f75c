"""The dispatcher on its own: `uvicorn routing_app.dispatcher.main:app --http fleet.kit.door:Door`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platform_site.lib import memory
from routing_app.dispatcher.asgi import Dispatcher
from routing_app.dispatcher.config import current

if TYPE_CHECKING:
    from routing_app.dispatcher.asgi_types import Receive, Scope, Send


class App:
    """Adds the ASGI lifespan to a dispatcher."""

    def __init__(self) -> None:
        self._dispatcher = Dispatcher(current())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._dispatcher(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._dispatcher.start()
        memory.settle()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._dispatcher.stop()
        await send({"type": "lifespan.shutdown.complete"})


app = App()
