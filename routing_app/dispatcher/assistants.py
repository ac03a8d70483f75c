"""Assistants of the whole fleet, answered from the live document; graph and schemas are their pool's to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract.headers import is_uuid
from contract.registry import GRAPHS
from routing_app.dispatcher.body import decode_object
from routing_app.dispatcher.errors import Problem, bad_request
from routing_app.dispatcher.switchboard import (
    Switchboard,
    method_not_allowed,
    no_such_path,
    reply,
    require_uuid,
)

if TYPE_CHECKING:
    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.table import RoutingTable, Target

_DESCRIPTIONS = {spec.assistant_id: spec.description for spec in GRAPHS}
_OF_THE_POOL = ("graph", "schemas", "subgraphs")


class Assistants:
    """`/assistants…`"""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    async def handle(self, call: Call, rest: list[str]) -> None:
        if rest in (["search"], ["count"]) and call.method == "POST":
            await self._search(call, count=rest == ["count"])
        elif not rest or call.method not in ("GET", "HEAD", "POST"):
            raise method_not_allowed("assistants are registered in code and change with a publish")
        elif len(rest) == 1 and call.method != "POST":
            await reply(call, _assistant(self._board.table, self._by_uuid(rest[0])))
        elif len(rest) > 1 and rest[1] in _OF_THE_POOL and call.method != "POST":
            await self._of_the_pool(call, rest)
        else:
            raise no_such_path()

    async def _search(self, call: Call, *, count: bool) -> None:
        given = decode_object(await self._board.read(call))
        table = self._board.table
        everything = [_assistant(table, table.targets[name]) for name in sorted(table.targets)]
        found = [assistant for assistant in everything if _matches(assistant, given)]
        if count:
            await reply(call, len(found))
            return
        limit, offset = page(given)
        total = str(len(found)).encode()
        await reply(call, found[offset : offset + limit], headers=[(b"x-pagination-total", total)])

    async def _of_the_pool(self, call: Call, rest: list[str]) -> None:
        target = self._by_name(rest[0]) if rest[1] == "graph" else self._by_uuid(rest[0])
        call.record.assistant_id = target.assistant_id
        await self._board.send(call, self._board.pool(target.pool), b"", "plain")

    def _by_uuid(self, asked: str) -> Target:
        target = self._board.table.by_uuid.get(require_uuid(asked, "assistant"))
        if target is None:
            raise Problem(404, "Not Found", kind="client")
        return target

    def _by_name(self, asked: str) -> Target:
        target = self._board.table.targets.get(asked)
        if target is not None:
            return target
        if not is_uuid(asked):
            return self._board.table.find(asked)
        return self._by_uuid(asked)


def page(given: dict[str, Any], *, default: int = 10, most: int = 1_000) -> tuple[int, int]:
    """`limit` and `offset` of a search body; raises Problem 422 naming the field."""
    limit, offset = given.get("limit", default), given.get("offset", 0)
    if type(limit) is not int or not 1 <= limit <= most:
        raise bad_request(422, f"limit: must be a whole number from 1 to {most}", pointer="/limit")
    if type(offset) is not int or not 0 <= offset <= 2**31:
        raise bad_request(422, "offset: must be a whole number, not negative", pointer="/offset")
    return limit, offset


def _matches(assistant: dict[str, Any], given: dict[str, Any]) -> bool:
    graph_id, name, metadata = given.get("graph_id"), given.get("name"), given.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request(422, "metadata: must be an object", pointer="/metadata")
    if graph_id and assistant["graph_id"] != graph_id:
        return False
    if name and str(name).lower() not in assistant["name"].lower():
        return False
    return all(assistant["metadata"].get(key) == value for key, value in metadata.items())


def _assistant(table: RoutingTable, target: Target) -> dict[str, Any]:
    return {
        "assistant_id": target.uuid,
        "graph_id": target.assistant_id,
        "config": {},
        "context": {},
        "metadata": {"created_by": "system", "pool": target.pool, "enabled": target.enabled},
        "name": target.assistant_id,
        "created_at": table.published_at,
        "updated_at": table.published_at,
        "version": 1,
        "description": _DESCRIPTIONS.get(target.assistant_id),
    }
