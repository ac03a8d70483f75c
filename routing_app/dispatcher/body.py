"""Reading a request's body: bounded in size and time, and looked at just far enough to route it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType  # msgspec reads the annotations at run time

from routing_app.dispatcher.errors import Problem, bad_request
from routing_app.dispatcher.rounds import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routing_app.dispatcher.call import Call


class ClientGone(Exception):
    """The caller closed its connection; nobody is left to answer."""


class RunBody(msgspec.Struct):
    """The fields of a run body the dispatcher decides on; all others go to the pool unread."""

    assistant_id: str | UnsetType = UNSET
    input: Any = None
    command: Any = None
    if_not_exists: str = "reject"


_JSON = b"application/json"

_peek = msgspec.json.Decoder(RunBody).decode
_any = msgspec.json.Decoder().decode
_write = msgspec.json.Encoder().encode


async def read_body(call: Call, *, limit: int, timeout_s: float) -> bytes:
    """The whole body; raises Problem 413, 408 or 415, ClientGone when the caller left first."""
    _check_type(call.headers, limit)
    call.due = time.monotonic() + timeout_s
    parts: list[bytes] = []
    size, more = 0, True
    try:
        while more:
            message = await call.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large(limit)
            more = message.get("more_body", False)
    except asyncio.CancelledError:
        if call.timed_out():
            raise bad_request(408, "the body did not arrive in time") from None
        raise
    finally:
        call.due = NEVER
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_type(headers: Mapping[bytes, bytes], limit: int) -> None:
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise bad_request(415, "send the body without content-encoding")
    kind = headers.get(b"content-type", _JSON)
    if kind != _JSON and kind.partition(b";")[0].strip().lower() != _JSON and length != b"0":
        raise bad_request(415, "content-type must be application/json")


def _too_large(limit: int) -> Problem:
    return bad_request(413, f"the body is larger than {limit} bytes")


def peek_run(body: bytes) -> RunBody:
    """The routing fields of a run body; raises Problem 422 naming the field."""
    run = _decode(_peek, body)
    if run.assistant_id is UNSET or not run.assistant_id:
        raise bad_request(422, "assistant_id: required", pointer="/assistant_id")
    return run  # type: ignore[no-any-return]


def decode(body: bytes) -> Any:
    """Any JSON value; raises Problem 422."""
    return _decode(_any, body)


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object, `{}` for an empty body; raises Problem 422."""
    value = decode(body) if body.strip() else {}
    if not isinstance(value, dict):
        raise bad_request(422, "the body must be a JSON object", pointer="")
    return value


def _decode(decoder: Any, body: bytes) -> Any:
    try:
        value = decoder(body)
        _refuse_duplicates(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        pointer = path.rstrip("`").replace("[...]", "").replace(".", "/")
        raise bad_request(422, f"{pointer.strip('/') or 'body'}: {message}", pointer=pointer) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise bad_request(422, f"Invalid JSON in request body: {str(error)[:200]}", pointer="") from None
    return value


def _refuse_duplicates(body: bytes) -> None:
    """A key given twice would let two readers of one body see two different requests; the body is known to be JSON.

    Clients write compactly: what is written again just as it came holds no key twice, and all else is read more slowly.
    """
    try:
        if _write(_any(body)) == body:
            return
    except (msgspec.MsgspecError, OverflowError, RecursionError):
        pass  # it may be JSON all the same
    _read(body.decode().lstrip())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key '{key[:100]}'")
            seen.add(key)
    return found


_read = json.JSONDecoder(object_pairs_hook=_unique).raw_decode
