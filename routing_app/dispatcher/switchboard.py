"""What every handler needs: the live table, pools by name, bodies read, orders made, runs remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

from contract.headers import is_uuid
from routing_app.dispatcher.body import read_body
from routing_app.dispatcher.errors import Problem, bad_request, database_away
from routing_app.dispatcher.forward import Answer, Order, ask, forward
from routing_app.dispatcher.gate import encoded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from routing_app.dispatcher.asgi import Dispatcher
    from routing_app.dispatcher.asgi_types import Headers
    from routing_app.dispatcher.body import RunBody
    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.directory import ThreadDirectory
    from routing_app.dispatcher.pool import Pool, Replica
    from routing_app.dispatcher.relay import Mode
    from routing_app.dispatcher.table import RoutingTable, Target

_REMEMBERED = 50_000


class Whereabouts:
    """Which pool holds a stateless run, for as long as memory lasts; by run id and by its made-up thread id."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def note(self, pool: str, replica: str, *ids: str) -> None:
        places = self._places
        for any_id in ids:
            places[any_id] = (pool, replica)
        while len(places) > _REMEMBERED:
            places.popitem(last=False)

    def find(self, any_id: str) -> tuple[str, str] | None:
        """Pool and replica URL."""
        return self._places.get(any_id)


class Switchboard:
    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.whereabouts = Whereabouts()

    @property
    def directory(self) -> ThreadDirectory:
        """The thread directory; raises Problem 503 at once while the database is away."""
        if not self._dispatcher.live.database_up:
            raise database_away()
        return self._dispatcher.directory

    @property
    def table(self) -> RoutingTable:
        table = self._dispatcher.table
        if table is None:
            raise Problem(
                503, "no routing document is live yet", kind="backend", code="NO_ROUTING", retry_after=2
            )
        return table

    @property
    def pools(self) -> dict[str, Pool]:
        return self._dispatcher.pools.pools

    def pool(self, slug: str) -> Pool:
        pool = self._dispatcher.pools.pools.get(slug)
        if pool is None:
            raise Problem(
                503, f"pool {slug} is not in the live document", kind="backend", code="NO_POOL", retry_after=5
            )
        return pool

    def read(self, call: Call) -> Awaitable[bytes]:
        config = self._dispatcher.config
        return read_body(call, limit=config.max_body, timeout_s=config.body_timeout_s)

    def target(self, call: Call, run: RunBody, *, threaded: bool = False) -> Target:
        """Where a run goes; raises Problem 404, 403 or 422. Writes what was decided into the record."""
        asked = str(run.assistant_id)
        call.record.assistant_id = asked[:200].replace("\0", "")
        target = self.table.find(asked)
        call.record.assistant_id = target.assistant_id
        call.record.decided_graph_digest = target.graph_digest
        check_input(target, run, threaded=threaded)
        return target

    def send(
        self,
        call: Call,
        pool: Pool,
        body: bytes,
        mode: Mode,
        *,
        timeout_s: float | None = None,
        replica: str = "",
        safe: bool | None = None,
        on_refused: Callable[[], Awaitable[None]] | None = None,
    ) -> Awaitable[None]:
        """Forward the call as it is to `pool` and remember the run it started."""
        call.record_wanted = True
        table = self.table
        target = encoded(call.path)
        if call.query:
            target += "?" + call.query.decode("latin-1")
        call.watch_client()
        order = Order(
            pool=pool,
            target=target,
            body=body,
            mode=mode,
            table=table,
            timeout_s=timeout_s,
            safe=call.method == "GET" if safe is None else safe,
            replica=_replica(pool, replica) if replica else None,
            on_run=self.whereabouts.note,
            on_refused=on_refused,
        )
        return forward(call, order)

    def touch(self, thread_id: str) -> None:
        """Note that a thread may have changed, whether or not the database is there just now."""
        self._dispatcher.directory.touch(thread_id)

    async def ask(
        self, pool: Pool, method: str, target: str, body: Any = None, *, replica: str = ""
    ) -> Answer:
        """A small call of the dispatcher's own; raises Problem 503 when the pool cannot be heard."""
        payload = b"" if body is None else msgspec.json.encode(body)
        return await ask(pool, method, target, payload, replica=_replica(pool, replica))

    async def ask_all(self, method: str, target: str, body: Any = None) -> dict[str, Answer | Problem]:
        """The same call to every pool at once."""
        pools = list(self.pools.values())
        answers = await asyncio.gather(
            *(self.ask(pool, method, target, body) for pool in pools), return_exceptions=True
        )
        found: dict[str, Answer | Problem] = {}
        for pool, answer in zip(pools, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Problem):
                raise answer
            found[pool.slug] = answer
        return found


def _replica(pool: Pool, url: str) -> Replica | None:
    return next((known for known in pool.replicas if known.url == url), None)


def check_input(target: Target, run: RunBody, *, threaded: bool = False) -> None:
    """Raises Problem 422 with JSON pointers when the input breaks the graph's shape.

    A command resumes, and a threaded run without input goes on from its state: neither has an input to check.
    """
    if target.shape is None or run.command is not None or (threaded and run.input is None):
        return
    errors = target.shape.errors(run.input)
    if errors:
        first = errors[0]
        raise bad_request(
            422,
            f"input of '{target.assistant_id}': {first['pointer']}: {first['message']}",
            pointer=first["pointer"],
            errors=errors,
        )


def require_uuid(value: str, what: str) -> str:
    """The id in lower case; raises Problem 422 before it enters a URL or a query."""
    if not is_uuid(value):
        raise bad_request(422, f"Invalid {what} ID: must be a UUID", pointer=f"/{what}_id")
    return value.lower()


async def reply(call: Call, value: Any, status: int = 200, headers: Headers | None = None) -> None:
    await call.answer(status, msgspec.json.encode(value), headers)


async def reply_empty(call: Call, status: int) -> None:
    await call.start(status, [(b"x-request-id", call.record.request_id.encode("latin-1"))])
    await call.finish()


def no_such_path() -> Problem:
    return Problem(404, "no such path", kind="client", code="NOT_FOUND")


def method_not_allowed(detail: str = "method not allowed") -> Problem:
    return Problem(405, detail, kind="client", code="METHOD_NOT_ALLOWED")
