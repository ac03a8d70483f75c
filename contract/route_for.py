"""The routing contract: which pool runs an assistant, and which paths are open at all. Pure; no environment, no I/O."""

from __future__ import annotations

from contract.record import Record
from contract.registry import GRAPHS

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "DEFAULT_CLASSIFY_WORKER_ASSISTANTS",
    "DEFAULT_DISCOVERY_WORKER_ASSISTANTS",
    "DEFAULT_EMAIL_WORKER_ASSISTANTS",
    "HEALTH_PATHS",
    "INTERNAL_PREFIXES",
    "PUBLIC_CORE_PREFIXES",
    "Decision",
    "WorkerRoute",
    "build_routes",
    "path_decision",
    "route_for",
]

HEALTH_PATHS = ("/ok", "/health", "/info")
INTERNAL_PREFIXES = ("/_ml", "/_research")
PUBLIC_CORE_PREFIXES = ("/runs", "/threads", "/assistants", "/linkedin")
_BELOW_INTERNAL = tuple(f"{prefix}/" for prefix in INTERNAL_PREFIXES)
_BELOW_PUBLIC = tuple(f"{prefix}/" for prefix in PUBLIC_CORE_PREFIXES)

CORE = "CORE"
DEFAULT_WORKER_ORDER = ("EMAIL", "CLASSIFY", "DISCOVERY")

_set = object.__setattr__


def _home(pool: str) -> frozenset[str]:
    return frozenset(spec.assistant_id for spec in GRAPHS if spec.pool == pool)


DEFAULT_EMAIL_WORKER_ASSISTANTS = _home("EMAIL")
DEFAULT_CLASSIFY_WORKER_ASSISTANTS = _home("CLASSIFY")
DEFAULT_DISCOVERY_WORKER_ASSISTANTS = _home("DISCOVERY")


class WorkerRoute(Record):
    """A pool as a caller sees it."""

    __slots__ = (
        "assistants",  #: the ids this pool may run
        "prefix",  #: the pool's slug, as in `{prefix}_WORKER_URL`
        "secret",  #: what proves to the pool that the dispatcher calls; "" when it asks for none
        "url",  #: "" when the pool is not reachable: the route is then skipped
    )
    _hidden = ("secret",)

    prefix: str
    url: str
    secret: str
    assistants: frozenset[str]

    def __init__(self, *, prefix: str, url: str, secret: str, assistants: frozenset[str]) -> None:
        _set(self, "prefix", prefix)
        _set(self, "url", url)
        _set(self, "secret", secret)
        _set(self, "assistants", assistants)


class Decision(Record):
    """Where one call goes, and why."""

    __slots__ = ("matched", "pool", "reason", "secret", "url")
    _hidden = ("secret",)

    pool: str
    url: str
    secret: str
    matched: bool
    reason: str

    def __init__(self, pool: str, url: str, secret: str, matched: bool, reason: str) -> None:
        _set(self, "pool", pool)
        _set(self, "url", url)
        _set(self, "secret", secret)
        _set(self, "matched", matched)
        _set(self, "reason", reason)


def route_for(
    assistant_id: str, routes: Sequence[WorkerRoute], *, core: WorkerRoute | None = None
) -> Decision:
    """The first route whose URL is set and whose allowlist holds the id; otherwise CORE (`matched` is then False)."""
    for route in routes:
        if route.url and assistant_id in route.assistants:
            return Decision(
                route.prefix, route.url, route.secret, True, f"{route.prefix} lists {assistant_id}"
            )
    if core is None:
        return Decision(CORE, "", "", False, f"no reachable pool lists {assistant_id}; CORE is the default")
    return Decision(
        CORE, core.url, core.secret, False, f"no reachable pool lists {assistant_id}; CORE is the default"
    )


def build_routes(mapping: Mapping[str, str]) -> tuple[WorkerRoute, ...]:
    """Routes from `{X}_WORKER_URL`, `_SECRET` and `_ASSISTANTS` (comma separated) for every X in `WORKER_ORDER`.

    An absent allowlist falls back to the registry's home pools; an empty one allows nothing.
    """
    order = _words(mapping["WORKER_ORDER"]) if "WORKER_ORDER" in mapping else DEFAULT_WORKER_ORDER
    return tuple(_route(prefix, mapping) for prefix in dict.fromkeys(order))


def path_decision(method: str, path: str, *, has_auth: bool, auth_matches: bool) -> tuple[int, str]:
    """The gate every request passes, on a normalised path (`contract.paths.normalise_path`)."""
    if path in HEALTH_PATHS:
        return (200, "OK")
    ended = f"{path}/"  # `/runsX` is not below `/runs`
    if ended.startswith(_BELOW_INTERNAL):
        return (403, "INTERNAL_ONLY")
    if not has_auth:
        return (401, "MISSING_AUTH")
    if not auth_matches:
        return (401, "BAD_AUTH")
    if ended.startswith(_BELOW_PUBLIC):
        return (200, "CORE")
    return (404, "NOT_FOUND")


def _route(prefix: str, mapping: Mapping[str, str]) -> WorkerRoute:
    listed = mapping.get(f"{prefix}_WORKER_ASSISTANTS")
    return WorkerRoute(
        prefix=prefix,
        url=mapping.get(f"{prefix}_WORKER_URL", "").strip().rstrip("/"),
        secret=mapping.get(f"{prefix}_WORKER_SECRET", ""),
        assistants=_home(prefix) if listed is None else frozenset(_words(listed)),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
