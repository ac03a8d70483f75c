"""What a call to the fleet looks like on the wire, without the wire: requests out, results and errors in."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from contract.errors import KINDS, ErrorKind, LangGraphError, kind_for_status
from fleet.sdk.propagation import outbound_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

# The platform answers these before any pool takes the work, with or without a body that says so.
_NOT_STARTED = frozenset({429, 503})


@dataclass(frozen=True)
class Timings:
    """Milliseconds from the start of the call to the answer's first byte, and to its end."""

    first_byte_ms: float
    total_ms: float


@dataclass(frozen=True)
class RunResult:
    """The output of a run, and what to store beside it."""

    output: Any
    langsmith_run_id: str
    request_id: str
    pool: str
    routing_version: int | None
    w3c_trace_id: str
    timings: Timings


@dataclass(frozen=True)
class StreamEvent:
    """One event of a streamed run; `event` is the stream mode, `|namespace` after it for a subgraph."""

    event: str
    data: Any


@dataclass(frozen=True)
class Call:
    """One HTTP request that starts a run."""

    url: str
    headers: dict[str, str]
    body: bytes


def run_path(thread_id: str = "", how: str = "wait") -> str:
    """The path that starts a run, on a thread (a UUID) or on none.

    Raises:
        LangGraphError: The thread id is no UUID (kind `client`).
    """
    return f"{thread_path(thread_id)}/runs/{how}" if thread_id else f"/runs/{how}"


def thread_path(thread_id: str) -> str:
    try:
        return f"/threads/{uuid.UUID(thread_id)}"
    except ValueError as error:
        raise LangGraphError(
            f"a thread id is a UUID, not {thread_id[:60]!r}", kind="client", retry_safe=True
        ) from error


def make_call(path: str, assistant_id: str, input: object, **extra: object) -> Call:
    """Build the request of a run. `extra` are further fields of the body; None is left out.

    Raises:
        LangGraphError: `PLATFORM_URL` is not set, or the input has no JSON form (kind `client`).
    """
    fields = {"assistant_id": assistant_id, "input": input, **extra}
    try:
        body = json.dumps(
            {key: value for key, value in fields.items() if value is not None or key == "input"}
        )
    except (TypeError, ValueError) as error:
        raise LangGraphError(
            f"the input has no JSON form: {error}", kind="client", retry_safe=True
        ) from error
    return _call(path, body.encode())


def read_call(path: str) -> Call:
    """Build a request that only reads.

    Raises:
        LangGraphError: `PLATFORM_URL` is not set.
    """
    return _call(path, b"")


def _call(path: str, body: bytes) -> Call:
    base = os.environ.get("PLATFORM_URL", "")
    if not base:
        raise LangGraphError("PLATFORM_URL is not set", kind="client", retry_safe=True)
    headers = {"content-type": "application/json", "x-request-id": str(uuid.uuid4()), **outbound_headers()}
    key = os.environ.get("PLATFORM_API_KEY", "")
    if key:
        headers["authorization"] = f"Bearer {key}"
    return Call(base.rstrip("/") + path, headers, body)


def read_result(call: Call, headers: Mapping[str, str], body: bytes, timings: Timings) -> RunResult:
    """Read the body of a 200.

    Raises:
        LangGraphError: The graph failed (`__error__`), or the answer is not JSON.
    """
    try:
        output = json.loads(body)
    except ValueError as error:
        raise LangGraphError("the answer is cut off or not JSON", kind="backend", status=200) from error
    if isinstance(output, dict) and isinstance(output.get("__error__"), dict):
        raise graph_error(output["__error__"])
    version = headers.get("x-agentic-routing-version", "")
    return RunResult(
        output=output,
        langsmith_run_id=run_id_of(headers),
        request_id=headers.get("x-request-id", "") or call.headers["x-request-id"],
        pool=headers.get("x-agentic-pool", ""),
        routing_version=int(version) if version.isdigit() else None,
        w3c_trace_id=_trace_id(headers.get("traceparent") or call.headers.get("traceparent", "")),
        timings=timings,
    )


def run_id_of(headers: Mapping[str, str]) -> str:
    """Return the run's id: the dispatcher's header, else the end of `Content-Location`."""
    return (
        headers.get("x-langsmith-run-id", "") or headers.get("content-location", "").rpartition("/runs/")[2]
    )


def graph_error(problem: Mapping[str, Any]) -> LangGraphError:
    """Return the error of a run that was started and failed; repeating it would run the graph again."""
    kind = problem.get("kind")
    return LangGraphError(
        f"{problem.get('error', 'Error')}: {problem.get('message', '')}",
        kind=cast("ErrorKind", kind) if kind in KINDS else "backend",
        status=200,
        retry_safe=False,
        detail=dict(problem),
    )


def status_error(status: int, body: bytes) -> LangGraphError:
    """Return the error of an answer that is no 2xx."""
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    fields = parsed if isinstance(parsed, dict) else {}
    detail = fields.get("detail", body[:500].decode("utf-8", "replace"))
    kind = fields.get("kind")
    return LangGraphError(
        detail if isinstance(detail, str) else json.dumps(detail),
        kind=cast("ErrorKind", kind) if kind in KINDS else kind_for_status(status),
        status=status,
        retry_safe=status in _NOT_STARTED or 400 <= status < 500,
        detail=parsed,
    )


def transport_error(error: Exception) -> LangGraphError:
    """Return the error of a call that got no answer. Only a failed connection is safe to repeat."""
    name = type(error).__name__
    reached = name not in {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}
    kind: ErrorKind = "timeout" if "Timeout" in name else "backend"
    return LangGraphError(f"no answer from the platform: {name}: {error}", kind=kind, retry_safe=not reached)


def deadline_error(timeout: float) -> LangGraphError:
    return LangGraphError(f"no result within {timeout:g} s", kind="timeout", retry_safe=False)


class EventReader:
    """Reads server-sent events from lines."""

    def __init__(self) -> None:
        self._event = ""
        self._data: list[str] = []

    def feed(self, line: str) -> StreamEvent | None:
        """Take one line without its end; return the event it completes.

        Raises:
            LangGraphError: The event is an `error`.
        """
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._event = value
            elif name == "data":
                self._data.append(value)
            return None
        if not self._data:
            self._event = ""
            return None
        event = StreamEvent(self._event, json.loads("\n".join(self._data)))
        self._event, self._data = "", []
        if event.event == "error":
            raise graph_error(event.data if isinstance(event.data, dict) else {"message": event.data})
        return event


def _trace_id(traceparent: str) -> str:
    parts = traceparent.split("-")
    return parts[1] if len(parts) >= 4 else ""
