"""Run graphs of the fleet from asynchronous code; the twins of `client`."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fleet.sdk import calls
from fleet.sdk.calls import Call, RunResult, StreamEvent, Timings
from fleet.sdk.client import DEFAULT_TIMEOUT_S, _limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


async def arun_graph(
    assistant_id: str,
    input: object,
    *,
    timeout: float = DEFAULT_TIMEOUT_S,  # noqa: ASYNC109 - the caller's deadline
    config: Mapping[str, Any] | None = None,
) -> Any:
    """Run a graph and return its output; see `run_graph`."""
    return (await arun_graph_with_meta(assistant_id, input, timeout=timeout, config=config)).output


async def arun_graph_with_meta(
    assistant_id: str,
    input: object,
    *,
    timeout: float = DEFAULT_TIMEOUT_S,  # noqa: ASYNC109 - the caller's deadline
    config: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a graph; return its output with the ids to store beside it; see `run_graph_with_meta`."""
    call = calls.make_call("/runs/wait", assistant_id, input, config=config)
    began = time.perf_counter()
    async with _answer(call, timeout) as answer:
        first_byte = time.perf_counter()
        body = await answer.aread()
    if answer.status_code >= 300:
        raise calls.status_error(answer.status_code, body)
    timings = Timings((first_byte - began) * 1000, (time.perf_counter() - began) * 1000)
    return calls.read_result(call, answer.headers, body, timings)


async def astream_graph(
    assistant_id: str,
    input: object,
    *,
    stream_mode: str | list[str] = "updates",
    timeout: float = DEFAULT_TIMEOUT_S,  # noqa: ASYNC109 - the caller's deadline
    config: Mapping[str, Any] | None = None,
) -> AsyncIterator[StreamEvent]:
    """Run a graph and yield its events as they come; see `stream_graph`."""
    call = calls.make_call("/runs/stream", assistant_id, input, stream_mode=stream_mode, config=config)
    reader = calls.EventReader()
    async with _answer(call, timeout) as answer:
        if answer.status_code >= 300:
            raise calls.status_error(answer.status_code, await answer.aread())
        async for line in answer.aiter_lines():
            if (event := reader.feed(line)) is not None:
                yield event


@asynccontextmanager
async def _answer(call: Call, seconds: float) -> AsyncIterator[httpx.Response]:
    """Open the answer to a call and map what may go wrong until it is closed."""
    import httpx

    try:
        async with (
            asyncio.timeout(seconds),
            _client().stream(
                "POST", call.url, content=call.body, headers=call.headers, timeout=_limits(seconds)
            ) as answer,
        ):
            yield answer
    except TimeoutError:
        raise calls.deadline_error(seconds) from None
    except httpx.HTTPError as error:
        raise calls.transport_error(error) from error


def _client() -> httpx.AsyncClient:
    """One client a loop: its connections belong to the loop that opened them."""
    import httpx

    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(trust_env=False)
    return _clients[loop]
