"""Runs without a thread, batches over pools, cancelling many, and finding a run again by its id."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from routing_app.dispatcher.body import decode, decode_object, peek_run
from routing_app.dispatcher.errors import Problem, bad_request
from routing_app.dispatcher.switchboard import (
    Switchboard,
    method_not_allowed,
    no_such_path,
    reply,
    reply_empty,
    require_uuid,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from routing_app.dispatcher.call import Call
    from routing_app.dispatcher.forward import Answer
    from routing_app.dispatcher.relay import Mode

STARTS: dict[str, Mode] = {"wait": "wait", "stream": "stream"}
FOLLOWS: dict[str, Mode] = {"join": "wait", "stream": "stream"}
MAX_BATCH = 1_000


class Runs:
    """`/runs…`"""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def handle(self, call: Call, rest: list[str]) -> Awaitable[None]:
        """`rest` is the path after `/runs`."""
        if len(rest) == 0 or (len(rest) == 1 and rest[0] in STARTS):
            _only_post(call)
            return self._start(call, STARTS[rest[0]] if rest else "create")
        if rest == ["batch"]:
            _only_post(call)
            return self._batch(call)
        if rest == ["cancel"]:
            _only_post(call)
            return self._cancel_many(call)
        if rest[0] == "crons":
            raise no_crons()
        return self._existing(call, rest)

    async def _start(self, call: Call, mode: Mode) -> None:
        call.record_wanted = True
        body = await self._board.read(call)
        target = self._board.target(call, peek_run(body))
        pool = self._board.pool(target.pool)
        await self._board.send(call, pool, body, mode, timeout_s=target.timeout_s)

    async def _existing(self, call: Call, rest: list[str]) -> None:
        """`/runs/{id}` and below: to the pool that has it; an id this process does not know is asked of all."""
        run_id = require_uuid(rest[0], "run")
        slug, replica = self._board.whereabouts.find(run_id) or await self._search(call.path)
        body = await self._board.read(call)
        mode = FOLLOWS.get(rest[-1], "plain")
        await self._board.send(call, self._board.pool(slug), body, mode, replica=replica)

    async def _search(self, path: str) -> tuple[str, str]:
        answers = await self._board.ask_all("GET", path)
        for slug, answer in answers.items():
            if not isinstance(answer, Problem) and answer.status < 400:
                return slug, answer.replica
        raise unheard_or(answers, "Run not found")

    async def _batch(self, call: Call) -> None:
        """Split by pool, sent side by side, put together in the order given."""
        call.record_wanted = True
        given = decode(await self._board.read(call))
        if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
            raise bad_request(422, "the body must be a list of runs", pointer="")
        if len(given) > MAX_BATCH:
            raise bad_request(422, f"at most {MAX_BATCH} runs in a batch", pointer="")
        groups: dict[str, list[int]] = {}
        for index, item in enumerate(given):
            groups.setdefault(self._place(call, index, item), []).append(index)
        call.record.pool = next(iter(groups)) if len(groups) == 1 else ""
        results = await asyncio.gather(
            *(self._batch_part(slug, [given[index] for index in indexes]) for slug, indexes in groups.items())
        )
        merged: list[Any] = [None] * len(given)
        for indexes, runs in zip(groups.values(), results, strict=True):
            for index, run in zip(indexes, runs, strict=True):
                merged[index] = run
        await reply(call, merged)

    def _place(self, call: Call, index: int, item: dict[str, Any]) -> str:
        """The pool of one run of a batch; what is wrong with it is said with its place in the list."""
        try:
            return self._board.target(call, peek_run(msgspec.json.encode(item))).pool
        except Problem as problem:
            problem.facts = {
                **problem.facts, "index": index, "pointer": f"/{index}{problem.facts.get('pointer', '')}"
            }  # fmt: skip
            problem.detail = f"run {index}: {problem.detail}"
            raise

    async def _batch_part(self, slug: str, items: list[dict[str, Any]]) -> list[Any]:
        """One pool's runs; a pool that fails marks its own runs and no other's."""
        try:
            answer = await self._board.ask(self._board.pool(slug), "POST", "/runs/batch", items)
        except Problem as problem:
            return [_not_started(item, problem.detail, problem.kind) for item in items]
        runs = answer.json()
        if answer.status != 200 or not isinstance(runs, list) or len(runs) != len(items):
            said = runs.get("detail") if isinstance(runs, dict) else None
            detail = f"pool {slug} answered {answer.status}" + (f": {said}" if said else "")
            kind = "client" if 400 <= answer.status < 500 and answer.status != 429 else "backend"
            return [_not_started(item, detail, kind) for item in items]
        for run in runs:
            self._board.whereabouts.note(slug, answer.replica, run["run_id"])
        return runs

    async def _cancel_many(self, call: Call) -> None:
        """To the pool of the thread, or to every pool; found anywhere is cancelled."""
        body = await self._board.read(call)
        given = decode_object(body)
        query = f"?{call.query.decode('latin-1')}" if call.query else ""
        if given.get("thread_id"):
            thread = require_uuid(str(given["thread_id"]), "thread")
            row = await self._board.directory.get(thread)
            if row is None or not row.pool:
                raise Problem(404, "No runs found to cancel.", kind="client")
            await self._board.send(call, self._board.pool(row.pool), body, "plain")
            return
        answers = await self._board.ask_all("POST", f"/runs/cancel{query}", given)
        done = [
            answer for answer in answers.values() if not isinstance(answer, Problem) and answer.status < 300
        ]
        if not done:
            raise unheard_or(answers, "No runs found to cancel.")
        await reply_empty(call, done[0].status)


def unheard_or(answers: dict[str, Answer | Problem], detail: str) -> Problem:
    """404, unless a pool that could not be heard might have said otherwise."""
    for answer in answers.values():
        if isinstance(answer, Problem):
            return answer
    refused = [
        answer.status
        for answer in answers.values()
        if isinstance(answer, object) and not isinstance(answer, Problem)
    ]
    status = 404 if all(code == 404 for code in refused) else max(refused, default=404)
    return Problem(status, detail, kind="client" if status < 500 else "backend")


def _not_started(item: dict[str, Any], detail: str, kind: str) -> dict[str, Any]:
    return {
        "run_id": None,
        "assistant_id": item.get("assistant_id"),
        "status": "error",
        "error": {"error": "BackendError", "message": detail, "kind": kind},
    }


def no_crons() -> Problem:
    return Problem(404, "crons are not served", kind="client", code="NOT_FOUND")


def _only_post(call: Call) -> None:
    if call.method != "POST":
        raise method_not_allowed()


__all__ = ["Runs", "no_such_path"]
