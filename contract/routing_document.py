"""The published routing document: its shape, its canonical bytes and digest, and the way back to `build_routes`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, cast
from urllib.parse import urlsplit

from contract.route_for import CORE, WorkerRoute, build_routes

SCHEMA = 1
#: Fields that say when and as what a document was published, not what it says; the digest leaves them out.
ENVELOPE = ("version", "digest", "published_at")

_SLUG = re.compile(r"[A-Z][A-Z0-9_]{0,30}")
_ENV_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_ASSISTANT_ID = re.compile(r"[a-z][a-z0-9_]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Limits(TypedDict):
    concurrency: int  #: requests at work in the pool at once
    queue: int  #: requests that may wait for a slot; more are refused
    connect_timeout_s: float
    idle_timeout_s: float  #: longest silence while an answer streams
    total_timeout_s: float


class Route(TypedDict):
    prefix: str  #: the pool's slug
    url: str  #: the first replica; "" when there is none
    urls: list[str]  #: every replica
    secret_env: (
        str  #: name of the variable that holds the secret, never its value; "" when the pool asks for none
    )
    assistants: list[str]  #: sorted
    limits: Limits


class GraphEntry(TypedDict):
    pool: str  #: where the published document sends it
    enabled: bool
    reason: str  #: why it is disabled, for the caller
    resumable: bool
    input_schema: dict[str, Any]
    graph_digest: str  #: what a pool must attest it ran; "" when the source was not at hand
    sampling: float | None  #: share of runs to trace; None for the default
    timeout_s: float | None  #: upper bound for a run; None for the pool's


class Sampling(TypedDict):
    default: float


class RoutingDocument(TypedDict):
    schema: int
    version: int
    digest: str
    published_at: str
    routes: list[Route]
    core: Route
    graphs: dict[str, GraphEntry]
    sampling: Sampling


class RoutingDocumentError(ValueError):
    """The document is not one; `field` is the path of what is wrong, as in `routes[2].url`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def parse(raw: bytes | str | Mapping[str, Any]) -> RoutingDocument:
    """A checked document, its digest verified; raises RoutingDocumentError."""
    if isinstance(raw, bytes | str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise RoutingDocumentError("$", f"not JSON: {error}") from None
    document = check_shape(raw)
    _check(document["digest"] == digest(document), "digest", "does not match the content")
    return document


def check_shape(raw: object) -> RoutingDocument:
    """The document, every field checked but the digest's truth; raises RoutingDocumentError."""
    document = _fields(raw, "$", RoutingDocument)
    _check(document["schema"] == SCHEMA, "schema", f"must be {SCHEMA}")
    _integer(document["version"], "version", minimum=1)
    _check(_is_instant(document["published_at"]), "published_at", "must be an ISO 8601 time")
    _matches(document["digest"], "digest", _DIGEST)
    _routes(document["routes"])
    _route(document["core"], "core")
    _graphs(document["graphs"])
    _fraction(_fields(document["sampling"], "sampling", Sampling)["default"], "sampling.default")
    return cast("RoutingDocument", document)


def canonical_bytes(document: Mapping[str, Any]) -> bytes:
    """One byte string for one document in any language: sorted keys, no spaces, UTF-8, whole numbers without a point."""
    return json.dumps(
        _plain(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the content, whatever its number and time."""
    content = {name: value for name, value in document.items() if name not in ENVELOPE}
    return hashlib.sha256(canonical_bytes(content)).hexdigest()


def to_mapping(document: RoutingDocument, secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment `build_routes` reads, CORE's included; `secrets` maps variable names to values."""
    mapping = {"WORKER_ORDER": ",".join(route["prefix"] for route in document["routes"])}
    for route in [*document["routes"], document["core"]]:
        name = f"{route['prefix']}_WORKER"
        mapping[f"{name}_URL"] = route["url"]
        mapping[f"{name}_SECRET"] = secrets.get(route["secret_env"], "")
        mapping[f"{name}_ASSISTANTS"] = ",".join(route["assistants"])
    return mapping


def core_route(document: RoutingDocument, secrets: Mapping[str, str]) -> WorkerRoute:
    """The default route, for `route_for(…, core=…)`."""
    return build_routes({**to_mapping(document, secrets), "WORKER_ORDER": CORE})[0]


def _routes(value: object) -> None:
    _check(isinstance(value, list), "routes", "must be a list")
    seen: set[str] = set()
    for index, route in enumerate(cast("list[object]", value)):
        at = f"routes[{index}]"
        prefix = _route(route, at)["prefix"]
        _check(prefix not in seen, f"{at}.prefix", f"{prefix} is already routed")
        seen.add(prefix)


def _route(value: object, at: str) -> dict[str, Any]:
    route = _fields(value, at, Route)
    _matches(route["prefix"], f"{at}.prefix", _SLUG)
    if route["secret_env"] != "":
        _matches(route["secret_env"], f"{at}.secret_env", _ENV_NAME)
    _strings(route["urls"], f"{at}.urls")
    for index, url in enumerate(route["urls"]):
        problem = url_problem(url)
        _check(not problem, f"{at}.urls[{index}]", problem)
    _check(route["url"] == next(iter(route["urls"]), ""), f"{at}.url", "must be the first of urls")
    _strings(route["assistants"], f"{at}.assistants")
    for index, name in enumerate(route["assistants"]):
        _matches(name, f"{at}.assistants[{index}]", _ASSISTANT_ID)
    _limits(route["limits"], f"{at}.limits")
    return route


def _limits(value: object, at: str) -> None:
    limits = _fields(value, at, Limits)
    _integer(limits["concurrency"], f"{at}.concurrency", minimum=1)
    _integer(limits["queue"], f"{at}.queue", minimum=0)
    for name in ("connect_timeout_s", "idle_timeout_s", "total_timeout_s"):
        _seconds(limits[name], f"{at}.{name}")


def _graphs(value: object) -> None:
    _check(isinstance(value, dict), "graphs", "must be an object")
    for name, raw in cast("dict[str, object]", value).items():
        at = f"graphs.{name}"
        _matches(name, at, _ASSISTANT_ID)
        entry = _fields(raw, at, GraphEntry)
        _matches(entry["pool"], f"{at}.pool", _SLUG)
        for flag in ("enabled", "resumable"):
            _check(isinstance(entry[flag], bool), f"{at}.{flag}", "must be true or false")
        _check(isinstance(entry["reason"], str), f"{at}.reason", "must be a string")
        _check(isinstance(entry["input_schema"], dict), f"{at}.input_schema", "must be an object")
        if entry["graph_digest"] != "":
            _matches(entry["graph_digest"], f"{at}.graph_digest", _DIGEST)
        if entry["sampling"] is not None:
            _fraction(entry["sampling"], f"{at}.sampling")
        if entry["timeout_s"] is not None:
            _seconds(entry["timeout_s"], f"{at}.timeout_s")


def url_problem(url: object) -> str:
    """Why this is no base URL of a pool; "" when it is one."""
    if not isinstance(url, str) or not url or len(url) > 2_000:
        return "must be a URL of at most 2000 characters"
    if not url.isascii() or not url.isprintable() or any(char in url for char in " \\"):
        return "must be printable ASCII without spaces"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme not in ("http", "https"):
        return "must start with http:// or https://"
    if "@" in parts.netloc:
        return "must not carry credentials"
    if not parts.hostname or port == 0:
        return "must name a host"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "must have no query and no fragment"
    return ""


def _fields(value: object, at: str, kind: type) -> dict[str, Any]:
    """The object, when it has exactly the fields of the TypedDict."""
    _check(isinstance(value, Mapping), at, "must be an object")
    given = dict(cast("Mapping[str, Any]", value))
    prefix = "" if at == "$" else f"{at}."
    for name in kind.__annotations__:
        _check(name in given, f"{prefix}{name}", "is missing")
    for name in given:
        _check(name in kind.__annotations__, f"{prefix}{name}", "is not a field")
    return given


def _check(ok: object, at: str, message: str) -> None:
    if not ok:
        raise RoutingDocumentError(at, message)


def _matches(value: object, at: str, pattern: re.Pattern[str]) -> None:
    _check(isinstance(value, str) and pattern.fullmatch(value), at, f"must match {pattern.pattern}")


def _strings(value: object, at: str) -> None:
    _check(
        isinstance(value, list) and all(isinstance(item, str) for item in value),
        at,
        "must be a list of strings",
    )


def _integer(value: object, at: str, *, minimum: int) -> None:
    ok = isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= 2**31 - 1
    _check(ok, at, f"must be a whole number of at least {minimum}")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(value: object, at: str) -> None:
    _check(_number(value) and 0 < cast("float", value) <= 86_400, at, "must be seconds between 0 and 86400")


def _fraction(value: object, at: str) -> None:
    _check(_number(value) and 0 <= cast("float", value) <= 1, at, "must be between 0 and 1")


def _is_instant(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_LEAVES = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is float:
        return int(value) if value.is_integer() else value
    # Leaves are looked at here, not by a call each: a large document has a hundred thousand.
    if isinstance(value, Mapping):
        return {key: item if type(item) in _LEAVES else _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [item if type(item) in _LEAVES else _plain(item) for item in value]
    return value
