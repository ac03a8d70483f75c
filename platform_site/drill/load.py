"""Bounded load on a dispatcher: steady calls that are due at fixed times, and a crowd that calls again and again."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from platform_site.drill.report import Figures
from routing_app.dispatcher.upstream import Cut, Endpoint, NotReached, Silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: Longest wait of a steady call; later counts as an error.
PATIENCE_S = 10.0
#: What a caller of the crowd waits before it calls again: about the least `Retry-After` a dispatcher sends.
PAUSE_S = (0.5, 1.5)


class Caller:
    """Sends stateless runs of one assistant to a dispatcher."""

    def __init__(self, url: str, key: str, assistant_id: str, **given: float) -> None:
        self._endpoint = Endpoint(url)
        body = json.dumps({"assistant_id": assistant_id, "input": {"x": 1, **given}}).encode()
        self._request = (
            f"POST /runs/wait HTTP/1.1\r\nhost: drill\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\nuser-agent: drill\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def call(self, patience_s: float) -> str:
        """ "" for a run that succeeded, else what came instead."""
        try:
            connection = await self._endpoint.connection(patience_s)
            try:
                await connection.begin(self._request, b"", idle_s=patience_s)
                parts = []
                while part := await connection.read():
                    parts.append(part)
            finally:
                connection.release()
        except (NotReached, Silent, Cut) as error:
            return f"{type(error).__name__}: {error}".rstrip(": ")
        if connection.status != 200:
            return str(connection.status)
        return "200 with an error inside" if b"__error__" in b"".join(parts)[:200] else ""

    def close(self) -> None:
        self._endpoint.close()


async def steady(caller: Caller, *, rate: float, seconds: float) -> Figures:
    """`rate` calls a second, each at its time whether or not the one before was answered."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    latencies: list[float] = []
    problems: list[str] = []

    async def one(due: float) -> None:
        problem = await caller.call(PATIENCE_S)
        if problem:
            problems.append(problem)
        else:
            latencies.append((loop.time() - due) * 1000)

    async with asyncio.TaskGroup() as calls:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            calls.create_task(one(due))
    return Figures.of(latencies, problems)


@asynccontextmanager
async def crowd(caller: Caller, *, size: int) -> AsyncIterator[Counter[str]]:
    """`size` callers while the block runs, each with one call out; the counter says what they heard."""
    heard: Counter[str] = Counter()

    async def one() -> None:
        while True:
            heard[await caller.call(60.0) or "success"] += 1
            await asyncio.sleep(random.uniform(*PAUSE_S))  # noqa: S311 - not a secret

    tasks = [asyncio.create_task(one()) for _ in range(size)]
    try:
        yield heard
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        caller.close()
