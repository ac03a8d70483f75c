"""Threads: the directory answers before there is a run; the first run binds the pool; then the pool is asked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from routing_app.dispatcher.assistants import page
from routing_app.dispatcher.body import decode_object, peek_run
from routing_app.dispatcher.directory import SORTABLE, STATUSES, ThreadRow
from routing_app.dispatcher.errors import Problem, bad_request
from routing_app.dispatcher.runs import FOLLOWS, STARTS, no_crons, unheard_or
from routing_app.dispatcher.switchboard import (
    Switchboard,
    method_not_allowed,
    no_such_path,
    reply,
    reply_empty,
    require_uuid,
)

if TYPE_CHECKING:
    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.forward import Answer
    from routing_app.dispatcher.pool import Pool
    from routing_app.dispatcher.relay import Mode
    from routing_app.dispatcher.table import Target

#: How many threads a search brings up to date before it filters by status.
REFRESHED = 500
_AT_ONCE = 16
#: Statuses of a refusal before the pool got the run.
NOT_BEGUN = (429, 503)
_SAFE_POSTS = {"history", "checkpoint"}


class Threads:
    """`/threads…`"""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    async def handle(self, call: Call, rest: list[str]) -> None:
        """`rest` is the path after `/threads`."""
        if not rest:
            await self._create(call)
        elif rest in (["search"], ["count"]):
            await self._search(call, count=rest == ["count"])
        elif rest == ["prune"]:
            raise Problem(404, "pruning is not served", kind="client", code="NOT_FOUND")
        else:
            await self._one(call, require_uuid(rest[0], "thread"), rest[1:])

    async def _one(self, call: Call, thread_id: str, rest: list[str]) -> None:
        call.record.thread_id = thread_id
        if rest[:1] == ["runs"] and call.method == "POST" and (len(rest) == 1 or rest[1:2][0] in STARTS):
            await self._run(call, thread_id, STARTS[rest[1]] if len(rest) > 1 else "create")
        elif rest[:1] == ["runs"] and len(rest) > 1:
            await self._existing_run(call, thread_id, rest[1:])
        elif not rest:
            await self._thread(call, thread_id)
        elif rest == ["copy"]:
            await self._copy(call, thread_id)
        else:
            await self._of_the_pool(call, thread_id, rest)

    # -- the directory's own answers ------------------------------------------------------------------------

    async def _create(self, call: Call) -> None:
        if call.method != "POST":
            raise method_not_allowed()
        given = decode_object(await self._board.read(call))
        thread_id = require_uuid(_text(given, "thread_id") or str(uuid.uuid4()), "thread")
        metadata = _metadata(given)
        row, new = await self._board.directory.create(thread_id, metadata)
        if not new and given.get("if_exists") != "do_nothing":
            raise Problem(409, f"Thread with ID {thread_id} already exists", kind="client")
        if new and given.get("supersteps"):
            await self._seed(row, given)
        await reply(call, row.as_thread() if new else await self._current(row))

    async def _seed(self, row: ThreadRow, given: dict[str, Any]) -> None:
        """A thread made with a state needs its pool at once; `metadata.graph_id` says which. Refused, it is not made."""
        try:
            target = self._graph_of(row)
            if target is None:
                raise bad_request(422, "supersteps: need metadata.graph_id", pointer="/metadata/graph_id")
            await self._bind(row, target, seed=given)
        except Problem:
            await self._board.directory.delete(row.thread_id)
            raise

    def _graph_of(self, row: ThreadRow) -> Target | None:
        """The graph a thread was made for, before any run; raises Problem 404 or 403."""
        graph_id = row.metadata.get("graph_id")
        return self._board.table.find(graph_id) if isinstance(graph_id, str) else None

    async def _thread(self, call: Call, thread_id: str) -> None:
        row = await self._row(thread_id)
        if call.method in ("GET", "HEAD"):
            await reply(call, await self._current(row))
        elif call.method == "PATCH":
            await self._patch(call, row)
        elif call.method == "DELETE":
            await self._delete(call, row)
        else:
            raise method_not_allowed()

    async def _patch(self, call: Call, row: ThreadRow) -> None:
        metadata = _metadata(decode_object(await self._board.read(call)))
        patched = await self._board.directory.patch(row.thread_id, metadata)
        if patched is None:
            raise not_found(row.thread_id)
        if patched.pool:
            await self._board.ask(
                self._board.pool(patched.pool), "PATCH", f"/threads/{row.thread_id}", {"metadata": metadata}
            )
        await reply(call, await self._current(patched))

    async def _delete(self, call: Call, row: ThreadRow) -> None:
        if row.pool:
            answer = await self._board.ask(self._board.pool(row.pool), "DELETE", f"/threads/{row.thread_id}")
            if answer.status >= 300 and answer.status != 404:
                await call.answer(answer.status, answer.body)
                return
        await self._board.directory.delete(row.thread_id)
        await reply_empty(call, 204)

    async def _copy(self, call: Call, thread_id: str) -> None:
        if call.method != "POST":
            raise method_not_allowed()
        row = await self._row(thread_id)
        if not row.pool:
            made, _ = await self._board.directory.create(str(uuid.uuid4()), row.metadata)
            await reply(call, made.as_thread())
            return
        answer = await self._board.ask(self._board.pool(row.pool), "POST", f"/threads/{thread_id}/copy")
        if answer.status == 200:
            copied = answer.json()
            await self._board.directory.create(
                require_uuid(str(copied.get("thread_id")), "thread"), row.metadata, pool=row.pool
            )
        await call.answer(answer.status, answer.body)

    async def _search(self, call: Call, *, count: bool) -> None:
        if call.method != "POST":
            raise method_not_allowed()
        given = decode_object(await self._board.read(call))
        metadata, status, ids = _metadata(given), _status(given), _ids(given)
        if given.get("values"):
            raise bad_request(422, "values: threads are not searched by their values", pointer="/values")
        directory = self._board.directory
        await directory.flush()
        if status is not None:
            await self._refresh(await directory.stale(REFRESHED))
        total = await directory.count(metadata=metadata, status=status, ids=ids)
        if count:
            await reply(call, total)
            return
        limit, offset = page(given)
        sort_by, descending = _order(given)
        rows = await directory.search(
            metadata=metadata, status=status, ids=ids, limit=limit, offset=offset, sort_by=sort_by,
            descending=descending,
        )  # fmt: skip
        threads = await self._currents(rows)
        await reply(call, _selected(threads, given), headers=[(b"x-pagination-total", b"%d" % total)])

    async def _refresh(self, rows: list[ThreadRow]) -> None:
        statuses = {
            thread["thread_id"]: thread["status"]
            for thread in await self._currents(rows)
            if thread.get("status") in STATUSES
        }
        if statuses:
            await self._board.directory.refreshed(statuses)

    async def _currents(self, rows: list[ThreadRow]) -> list[dict[str, Any]]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def current(row: ThreadRow) -> dict[str, Any]:
            async with gate:
                return await self._current(row)

        return list(await asyncio.gather(*map(current, rows)))

    async def _current(self, row: ThreadRow) -> dict[str, Any]:
        """The thread as its pool knows it now; as the directory remembers it when the pool cannot say."""
        pool = self._board.pools.get(row.pool)
        if pool is None:
            return row.as_thread()
        try:
            answer = await self._board.ask(pool, "GET", f"/threads/{row.thread_id}")
            known = answer.json() if answer.status == 200 else None
        except (Problem, msgspec.DecodeError):
            known = None
        return {**row.as_thread(), **known} if isinstance(known, dict) else row.as_thread()

    # -- runs -----------------------------------------------------------------------------------------------

    async def _run(self, call: Call, thread_id: str, mode: Mode) -> None:
        """A threaded run; 404, 409 and 503 are said before the pool is touched."""
        call.record_wanted = True
        body = await self._board.read(call)
        run = peek_run(body)
        target = self._board.target(call, run, threaded=True)
        directory = self._board.directory
        bound, new = directory.known_pool(thread_id), False
        first = not bound
        if first:
            row: ThreadRow | None
            if run.if_not_exists == "create":  # the pool reads it too, and makes the thread with the run
                row, new = await directory.create(thread_id, _labels(target), pool=target.pool)
            else:
                row = await directory.get(thread_id)
            if row is None:
                raise Problem(404, "Thread or assistant not found.", kind="client")
            first = new or not row.pool
            bound = row.pool or await self._bind(row, target)
        if bound != target.pool:
            raise _elsewhere(thread_id, bound, target)
        pool = self._board.pool(bound)
        let_go = functools.partial(self._let_go, thread_id, pool, new=new) if first else None
        directory.touch(thread_id)
        try:
            await self._board.send(call, pool, body, mode, timeout_s=target.timeout_s, on_refused=let_go)
        except Problem as problem:
            if let_go is not None and problem.status in NOT_BEGUN:
                await let_go()
            raise
        directory.touch(thread_id)

    async def _let_go(self, thread_id: str, pool: Pool, *, new: bool) -> None:
        """A first run that was refused leaves the thread as it was: not made, or free for every pool's graphs."""
        if self._board.whereabouts.find(thread_id):
            return  # another run of it was taken
        with contextlib.suppress(Problem):  # a pool that cannot be heard took nothing just now
            runs = await self._board.ask(pool, "GET", f"/threads/{thread_id}/runs?limit=1")
            if runs.status == 200 and runs.json():
                return
            await self._take_back(thread_id, pool.slug)
        if new:
            await self._board.directory.delete(thread_id)
        else:
            await self._board.directory.unbind(thread_id, pool.slug)

    async def _bind(self, row: ThreadRow, target: Target, *, seed: dict[str, Any] | None = None) -> str:
        """Bind the thread to the pool of its first run; returns the pool it is bound to.

        The pool is made to know the thread first, so that a bound thread is one its pool has: a pool that does not
        answer leaves the thread free, and of two first runs at once neither meets a pool without it.
        """
        labels = _labels(target)
        wanted = {
            **(seed or {}),
            "thread_id": row.thread_id,
            "metadata": {**row.metadata, **labels},
            "if_exists": "do_nothing",
        }
        answer = await self._board.ask(self._board.pool(target.pool), "POST", "/threads", wanted)
        if answer.status >= 300:
            raise _not_taken(target.pool, answer)
        bound = await self._board.directory.bind(row.thread_id, target.pool, labels)
        if bound is None or bound.pool != target.pool:
            await self._take_back(row.thread_id, target.pool)
        if bound is None:
            raise not_found(row.thread_id)
        return bound.pool

    async def _take_back(self, thread_id: str, pool: str) -> None:
        """Remove a thread from a pool that did not get it after all; where the pool is away it stays, unused."""
        with contextlib.suppress(Problem):
            await self._board.ask(self._board.pool(pool), "DELETE", f"/threads/{thread_id}")

    async def _existing_run(self, call: Call, thread_id: str, rest: list[str]) -> None:
        """`/threads/{t}/runs/{r}…`: by the thread's binding; for a stateless run by memory, or by asking around."""
        if rest[0] == "crons":
            raise no_crons()
        require_uuid(rest[0], "run")
        mode = FOLLOWS.get(rest[-1], "plain")
        place = self._board.whereabouts.find(rest[0]) or self._board.whereabouts.find(thread_id)
        if place is None:
            missing = "No runs found to cancel." if rest[-1] == "cancel" else "Run not found"
            place = await self._find_run(thread_id, rest[0], missing)
        body = await self._board.read(call)
        await self._board.send(call, self._board.pool(place[0]), body, mode, replica=place[1])
        if call.method != "GET":
            self._board.touch(thread_id)

    async def _find_run(self, thread_id: str, run_id: str, missing: str) -> tuple[str, str]:
        row = await self._board.directory.get(thread_id)
        if row is not None:
            if not row.pool:
                raise Problem(404, missing, kind="client")
            return row.pool, ""
        answers = await self._board.ask_all("GET", f"/threads/{thread_id}/runs/{run_id}")
        for slug, answer in answers.items():
            if not isinstance(answer, Problem) and answer.status == 200:
                return slug, answer.replica
        raise unheard_or(answers, missing)

    async def _of_the_pool(self, call: Call, thread_id: str, rest: list[str]) -> None:
        """State, history, list of runs and all else that only the pool of a bound thread can say."""
        body = await self._board.read(call)
        bound = self._board.directory.known_pool(thread_id)
        if not bound:
            row = await self._row(thread_id)
            bound = row.pool
            if not bound and rest == ["state"] and call.method == "POST":
                target = self._graph_of(row)
                bound = await self._bind(row, target) if target is not None else ""
        if not bound:
            await self._of_no_pool(call, rest)
            return
        mode: Mode = "stream" if "stream" in rest else "plain"
        safe = call.method == "GET" or rest[-1] in _SAFE_POSTS
        await self._board.send(call, self._board.pool(bound), body, mode, safe=safe)
        if not safe:
            self._board.touch(thread_id)

    async def _of_no_pool(self, call: Call, rest: list[str]) -> None:
        """What a LangGraph server says of a thread that never ran."""
        if rest == ["state"] and call.method == "GET":
            await reply(call, _EMPTY_STATE)
        elif rest in (["history"], ["runs"]):
            await reply(call, [])
        elif rest == ["state"]:
            raise Problem(409, "the thread has had no run, so no graph can take the state", kind="client")
        else:
            raise no_such_path()

    async def _row(self, thread_id: str) -> ThreadRow:
        row = await self._board.directory.get(thread_id)
        if row is None:
            raise not_found(thread_id)
        return row


_EMPTY_STATE: dict[str, Any] = {
    "values": {}, "next": [], "tasks": [], "metadata": {}, "created_at": None, "checkpoint": None,
    "parent_checkpoint": None, "interrupts": [], "checkpoint_id": None, "parent_checkpoint_id": None,
}  # fmt: skip


def _labels(target: Target) -> dict[str, Any]:
    return {"graph_id": target.assistant_id, "assistant_id": target.uuid}


def not_found(thread_id: str) -> Problem:
    return Problem(404, f"Thread with ID {thread_id} not found", kind="client")


def _not_taken(pool: str, answer: Answer) -> Problem:
    said = answer.body[:200].decode(errors="replace")
    if answer.status >= 500:
        return Problem(503, f"pool {pool} did not take the thread: {said}", kind="backend", retry_after=2)
    return Problem(answer.status, f"pool {pool} did not take the thread: {said}", kind="client")


def _elsewhere(thread_id: str, bound: str, target: Target) -> Problem:
    return Problem(
        409,
        f"thread {thread_id} lives in pool {bound}; '{target.assistant_id}' runs in {target.pool}",
        kind="client",
        code="OTHER_POOL",
    )


def _metadata(given: dict[str, Any]) -> dict[str, Any]:
    metadata = given.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request(422, "metadata: must be an object", pointer="/metadata")
    if "\\u0000" in msgspec.json.encode(metadata).decode():
        raise bad_request(422, "metadata: must not contain NUL characters", pointer="/metadata")
    return metadata


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_request(422, f"{name}: must be a string", pointer=f"/{name}")
    return value or ""


def _status(given: dict[str, Any]) -> str | None:
    status = given.get("status")
    if status is not None and status not in STATUSES:
        raise bad_request(422, f"status: must be one of {', '.join(STATUSES)}", pointer="/status")
    return status


def _ids(given: dict[str, Any]) -> list[str] | None:
    ids = given.get("ids")
    if ids is None:
        return None
    if not isinstance(ids, list) or len(ids) > 1_000:
        raise bad_request(422, "ids: must be a list of at most 1000 thread ids", pointer="/ids")
    return [require_uuid(str(one), "thread") for one in ids]


def _order(given: dict[str, Any]) -> tuple[str, bool]:
    sort_by, order = given.get("sort_by") or "created_at", given.get("sort_order") or "desc"
    if sort_by not in SORTABLE:
        raise bad_request(422, f"sort_by: must be one of {', '.join(SORTABLE)}", pointer="/sort_by")
    if order not in ("asc", "desc"):
        raise bad_request(422, "sort_order: must be asc or desc", pointer="/sort_order")
    return sort_by, order == "desc"


def _selected(threads: list[dict[str, Any]], given: dict[str, Any]) -> list[dict[str, Any]]:
    select = given.get("select")
    if not select:
        return threads
    if not isinstance(select, list):
        raise bad_request(422, "select: must be a list of fields", pointer="/select")
    return [{name: value for name, value in thread.items() if name in select} for thread in threads]
