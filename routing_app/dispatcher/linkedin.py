"""`/linkedin/…`: CORE's own routes, passed on as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routing_app.dispatcher.table import CORE

if TYPE_CHECKING:
    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.switchboard import Switchboard


class Linkedin:
    def __init__(self, board: Switchboard) -> None:
        self._board = board

    async def handle(self, call: Call, rest: list[str]) -> None:
        body = await self._board.read(call)
        await self._board.send(call, self._board.pool(CORE), body, "plain")
