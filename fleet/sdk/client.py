"""Run graphs of the fleet from synchronous code."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from fleet.sdk import calls
from fleet.sdk.calls import Call, RunResult, StreamEvent, Timings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

DEFAULT_TIMEOUT_S = 600.0
_CONNECT_S = 5.0


def run_graph(
    assistant_id: str,
    input: object,
    *,
    timeout: float = DEFAULT_TIMEOUT_S,
    config: Mapping[str, Any] | None = None,
) -> Any:
    """Run a graph and return its output. `timeout` is in seconds.

    Raises:
        LangGraphError: Its `kind` says why, `retry_safe` whether a repeat cannot run the graph twice.
    """
    return run_graph_with_meta(assistant_id, input, timeout=timeout, config=config).output


def run_graph_with_meta(
    assistant_id: str,
    input: object,
    *,
    timeout: float = DEFAULT_TIMEOUT_S,
    config: Mapping[str, Any] | None = None,
    thread_id: str = "",
    command: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a graph; return its output with the ids to store beside it.

    With `thread_id` (a UUID) it runs on that thread, made when there is none; `command={"resume": …}` wakes a
    graph that waits there, on a thread that is.

    Raises:
        LangGraphError: As `run_graph`; status 409 when the thread is busy or the graph keeps no checkpoints.
    """
    import httpx

    made = "create" if thread_id and command is None else None
    path = calls.run_path(thread_id)
    call = calls.make_call(path, assistant_id, input, config=config, command=command, if_not_exists=made)
    began = time.perf_counter()
    try:
        with _open(call, timeout) as answer:
            first_byte = time.perf_counter()
            body = _read(answer, began + timeout, timeout)
    except httpx.HTTPError as error:
        raise calls.transport_error(error) from error
    if answer.status_code >= 300:
        raise calls.status_error(answer.status_code, body)
    timings = Timings((first_byte - began) * 1000, (time.perf_counter() - began) * 1000)
    return calls.read_result(call, answer.headers, body, timings)


def thread_state(thread_id: str, *, timeout: float = 30.0) -> dict[str, Any] | None:
    """The state of a thread as its graph left it (`values`, `next`, `metadata`); None when there is no such thread.

    Raises:
        LangGraphError: The platform could not say.
    """
    import httpx

    call = calls.read_call(f"{calls.thread_path(thread_id)}/state")
    try:
        answer = _client().get(call.url, headers=call.headers, timeout=_limits(timeout))
    except httpx.HTTPError as error:
        raise calls.transport_error(error) from error
    if answer.status_code == 404:
        return None
    if answer.status_code >= 300:
        raise calls.status_error(answer.status_code, answer.content)
    state = answer.json()
    return state if isinstance(state, dict) else None


def stream_graph(
    assistant_id: str,
    input: object,
    *,
    stream_mode: str | list[str] = "updates",
    timeout: float = DEFAULT_TIMEOUT_S,
    config: Mapping[str, Any] | None = None,
) -> Iterator[StreamEvent]:
    """Run a graph and yield its events as they come, `metadata` first.

    Raises:
        LangGraphError: As `run_graph`, also for an `error` event.
    """
    import httpx

    call = calls.make_call("/runs/stream", assistant_id, input, stream_mode=stream_mode, config=config)
    reader = calls.EventReader()
    deadline = time.perf_counter() + timeout
    try:
        with _open(call, timeout) as answer:
            if answer.status_code >= 300:
                raise calls.status_error(answer.status_code, answer.read())
            for line in answer.iter_lines():
                if time.perf_counter() > deadline:
                    raise calls.deadline_error(timeout)
                if (event := reader.feed(line)) is not None:
                    yield event
    except httpx.HTTPError as error:
        raise calls.transport_error(error) from error


def _open(call: Call, timeout: float) -> Any:
    return _client().stream(
        "POST", call.url, content=call.body, headers=call.headers, timeout=_limits(timeout)
    )


def _read(answer: httpx.Response, deadline: float, timeout: float) -> bytes:
    """Read a body whose keep-alive line breaks would outwit a plain read timeout."""
    parts = []
    for part in answer.iter_bytes():
        parts.append(part)
        if time.perf_counter() > deadline and not part.strip():
            raise calls.deadline_error(timeout)
    return b"".join(parts)


def _limits(timeout: float) -> httpx.Timeout:
    import httpx

    return httpx.Timeout(timeout, connect=min(_CONNECT_S, timeout))


@cache
def _client() -> httpx.Client:
    import httpx

    return httpx.Client(trust_env=False)
