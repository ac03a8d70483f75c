"""The body of a run request, checked once: every refusal is a 4xx that names the field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from uuid import UUID

import msgspec
import orjson

from fleet.worker.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

Strategy = Literal["reject", "interrupt", "rollback", "enqueue"]
Durability = Literal["sync", "async", "exit"]

STREAM_MODES = frozenset(
    {"values", "updates", "messages", "messages-tuple", "custom", "debug", "events", "tasks", "checkpoints"}
)
_V2_MODES = frozenset({"tools", "lifecycle"})
_NAME = re.compile(r"[\x20-\x7e]{1,128}")
_RESERVED_CONFIGURABLE = frozenset(
    {"thread_id", "run_id", "checkpoint_ns", "assistant_id", "graph_id", "langgraph_request_id", "user_id"}
    | {"langgraph_auth_user", "langgraph_auth_user_id", "langgraph_auth_permissions"}
)
_RESERVED_METADATA = frozenset({"thread_id", "run_id", "assistant_id", "cron_id"})


class RunPayload(msgspec.Struct, frozen=True, kw_only=True):
    """A valid run request. `input` is passed to the graph as it came."""

    assistant_id: str
    input: Any
    configurable: dict[str, Any]
    context: dict[str, Any] | None
    tags: tuple[str, ...]
    recursion_limit: int | None
    metadata: dict[str, Any]
    checkpoint: dict[str, Any]
    command: dict[str, Any] | None = None
    stream_mode: tuple[str, ...] = ("values",)
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    interrupt_before: list[str] | Literal["*"] | None = None
    interrupt_after: list[str] | Literal["*"] | None = None
    multitask_strategy: Strategy = "enqueue"
    on_completion: Literal["delete", "keep"] = "delete"
    on_disconnect: Literal["cancel", "continue"] | None = None
    after_seconds: float = 0.0
    if_not_exists: Literal["reject", "create"] = "reject"
    durability: Durability = "exit"


def load_json(body: bytes) -> Any:
    """Decode a JSON body.

    Raises:
        Refused: 422 when it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused(422, "Invalid JSON in request body") from None


def load_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON body that must be an object; an empty body is `{}`."""
    value = load_json(body) if body.strip() else {}
    if not isinstance(value, dict):
        raise Refused(422, "the request body must be a JSON object")
    return value


def parse_run(raw: object) -> RunPayload:
    """Check one run request.

    Raises:
        Refused: 422 (400 for `configurable` with `context`), the detail names the field.
    """
    if not isinstance(raw, dict):
        raise Refused(422, "the request body must be a JSON object")
    config = _object(raw, "config")
    configurable = _object(config, "configurable", "config.configurable")
    context = raw.get("context")
    if context is not None and not isinstance(context, dict):
        raise Refused(422, "context must be an object")
    if configurable and context:
        raise Refused(400, "Cannot specify both configurable and context. Prefer setting context alone.")
    if raw.get("webhook") is not None:
        raise Refused(422, "webhook is not served by this pool")
    return RunPayload(
        assistant_id=_assistant_id(raw),
        input=raw.get("input"),
        configurable=_own(context or configurable, _RESERVED_CONFIGURABLE),
        context=context,
        tags=_texts(config, "tags", "config.tags"),
        recursion_limit=_recursion_limit(config),
        metadata=_own(
            {**_object(config, "metadata", "config.metadata"), **_object(raw, "metadata")}, _RESERVED_METADATA
        ),
        checkpoint=_checkpoint(raw),
        **{name: _OPTIONS[name](raw, name) for name in raw if name in _OPTIONS and raw[name] is not None},
    )


def parse_uuid(value: object, what: str) -> str:
    """Return the canonical text of a UUID.

    Raises:
        Refused: 422 `Invalid <what>: must be a UUID`.
    """
    try:
        return str(UUID(cast("str", value)))
    except (ValueError, AttributeError, TypeError):
        raise Refused(422, f"Invalid {what}: must be a UUID") from None


def whole(raw: dict[str, Any], name: str, default: int, *, least: int = 0, most: int = 1000) -> int:
    """Return a whole number of the body within its bounds, or refuse it by name."""
    value = raw.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused(422, f"{name} must be a whole number from {least} to {most}")
    return value


def metadata_of(raw: dict[str, Any], name: str = "metadata") -> dict[str, Any]:
    """Return the object `name` of a body without the keys the server owns."""
    return _own(_object(raw, name), _RESERVED_METADATA)


def _assistant_id(raw: dict[str, Any]) -> str:
    value = raw.get("assistant_id")
    if not isinstance(value, str) or not value:
        raise Refused(422, "assistant_id is required and must be a string")
    if not _NAME.fullmatch(value):
        raise Refused(422, "assistant_id must be 1 to 128 printable ASCII characters")
    return value


def _object(raw: dict[str, Any], name: str, label: str = "") -> dict[str, Any]:
    value = raw.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(422, f"{label or name} must be an object")
    return value


def _own(values: dict[str, Any], reserved: frozenset[str]) -> dict[str, Any]:
    """Drop what only the server may set; `__` names are LangGraph's own switches."""
    return {key: value for key, value in values.items() if key not in reserved and not key.startswith("__")}


def _command(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw[name]
    if not isinstance(value, dict):
        raise Refused(422, "command must be an object")
    for send in _listed(value.get("goto")):
        if not isinstance(send, str) and not (isinstance(send, dict) and isinstance(send.get("node"), str)):
            raise Refused(422, 'command.goto must be node names or {"node", "input"} objects')
    return value


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _texts(raw: dict[str, Any], name: str, label: str) -> tuple[str, ...]:
    value = raw.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(422, f"{label} must be a list of strings")
    return tuple(value)


def _recursion_limit(config: dict[str, Any]) -> int | None:
    if config.get("recursion_limit") is None:
        return None
    return whole(config, "recursion_limit", 25, least=1, most=1000)


def _stream_mode(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    modes = _listed(raw[name]) or ["values"]
    for mode in modes:
        if not isinstance(mode, str) or mode not in STREAM_MODES:
            extra = ": only on the v2 event streaming endpoints" if mode in _V2_MODES else ""
            raise Refused(422, f"stream_mode {mode!r} is not one of {', '.join(sorted(STREAM_MODES))}{extra}")
    return tuple(dict.fromkeys(modes))


def _flag(raw: dict[str, Any], name: str) -> bool:
    value = raw[name]
    if not isinstance(value, bool):
        raise Refused(422, f"{name} must be true or false")
    return value


def _nodes(raw: dict[str, Any], name: str) -> list[str] | Literal["*"] | None:
    if raw[name] == "*":
        return "*"
    return list(_texts(raw, name, name)) or None


def _checkpoint(raw: dict[str, Any]) -> dict[str, Any]:
    value = dict(_object(raw, "checkpoint"))
    if raw.get("checkpoint_id") is not None:
        value["checkpoint_id"] = raw["checkpoint_id"]
    if value.get("checkpoint_id") is not None:
        value["checkpoint_id"] = parse_uuid(value["checkpoint_id"], "checkpoint ID")
    allowed = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
    return {key: value[key] for key in allowed if value.get(key) is not None}


def _one_of(choices: Any) -> Callable[[dict[str, Any], str], Any]:
    allowed = get_args(choices)

    def read(raw: dict[str, Any], name: str) -> Any:
        if raw[name] not in allowed:
            raise Refused(422, f"{name} must be one of {', '.join(allowed)}")
        return raw[name]

    return read


def _seconds(raw: dict[str, Any], name: str) -> float:
    value = raw[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 30 * 86400:
        raise Refused(422, f"{name} must be a number from 0 to 2592000")
    return float(value)


#: How a field is read that few requests give.
_OPTIONS: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "command": _command,
    "stream_mode": _stream_mode,
    "stream_subgraphs": _flag,
    "stream_resumable": _flag,
    "interrupt_before": _nodes,
    "interrupt_after": _nodes,
    "multitask_strategy": _one_of(Strategy),
    "on_completion": _one_of(Literal["delete", "keep"]),
    "on_disconnect": _one_of(Literal["cancel", "continue"]),
    "after_seconds": _seconds,
    "if_not_exists": _one_of(Literal["reject", "create"]),
    "durability": _one_of(Durability),
}
